"""Entries a second, end to end into each store, as a share of what the database takes raw.

    python benchmarks/bench_writer.py [--entries 40000] [--stores sqlite postgres jsonl] [--rounds 3] [--json FILE]

`raw` is executemany (SQLite) or binary COPY (PostgreSQL) of the same rows, with the same columns and indexes, in
batches of 200, each committed. `thread` is the writer as by default, journal, log and rollups on, with a producer that
seals entries in the same process as fast as it can. `ship` has the producer only journal, and a process of its own
store. `N processes` write one trail at once. Everything runs in this order in each round; shown are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "acceptance"))

from postgres import Postgres

from auditmw import AuditTrail
from auditmw.entry import Cost, Usage
from auditmw.stores import store_for
from auditmw.stores.columns import make_leaves
from auditmw.stores.protocol import Batch

BATCH = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres", "jsonl"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        url, journal, count, mode = options.child
        print(json.dumps(produce(url, journal, int(count), mode)))
        return
    results: dict[str, dict[str, list[float]]] = {}
    for _ in range(options.rounds):
        for kind in options.stores:
            for case, rate in measure(kind, options.entries, options.processes).items():
                results.setdefault(kind, {}).setdefault(case, []).append(rate)
    for kind, cases in results.items():
        raw = statistics.median(cases.get("raw", [0.0]))
        print(f"\n{kind}")
        for case, rates in cases.items():
            rate = statistics.median(rates)
            share = f"   {rate / raw:.2f} of raw" if raw and case not in {"raw", "memory KB"} else ""
            unit = "KB an entry" if case == "memory KB" else "entries/s"
            print(f"  {case:14} {rate:10,.1f} {unit}{share}")
    if options.json:
        options.json.write_text(json.dumps({"cores": os.cpu_count(), "results": results}, indent=1))


def measure(kind: str, entries: int, processes: list[int]) -> dict[str, float]:
    """One round on one kind of store."""
    rates: dict[str, float] = {}
    with Postgres() if kind == "postgres" else nullcontext() as server, tempfile.TemporaryDirectory() as folder:

        def place(name: str) -> str:
            if server is None:
                return f"{kind}:///{folder}/{name}.db"
            asyncio.run(new_database(server.url, name))
            return server.url.replace("/postgres?", f"/{name}?")

        if kind != "jsonl":
            rates["raw"] = entries / asyncio.run(raw_seconds(kind, place("raw"), entries))
        for count in processes:
            url = place(f"thread{count}")
            seconds = run_children(url, folder, entries, count, "thread")
            rates["thread" if count == 1 else f"{count} processes"] = entries * count / seconds
        if kind != "jsonl":
            rates["ship"] = entries / shipping_seconds(place("ship"), folder, entries)
            rates["memory KB"] = children(place("memory"), folder, entries, 1, "waiting")[0]["waiting_kb"]
    return rates


async def new_database(url: str, name: str) -> None:
    """A database of its own for one case."""
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


def rows_of(count: int) -> list[list[Any]]:
    """What the writer would store of so many entries."""
    trail = AuditTrail("memory://")
    with trail:
        seal_many(trail, 200)
        trail.sync.flush()
        entries = list(trail.sync.query())[:200]
    leaves = make_leaves(Batch("00" * 16, 1, entries), 0, 1_795_000_000_000_000)
    return [[*leaf.row, leaf.salts] for leaf in leaves] * (count // 200)


async def raw_seconds(kind: str, url: str, count: int) -> float:
    """The rows into the very tables of the trail, without anything else."""
    store = store_for(url)
    await store.open()
    rows = rows_of(count)
    if kind == "sqlite":
        from auditmw.stores import sqlite as module

        writer = store._writer
        await writer.execute("INSERT INTO audit_writers (id, writer, last_seq) VALUES (1, 'raw', 0)")
        prepared = [(n, *row) for n, row in enumerate(rows)]
        for row in range(len(prepared)):
            prepared[row] = tuple(1 if value == "00" * 16 else value for value in prepared[row])
        started = time.perf_counter()
        for start in range(0, count, BATCH):
            await writer.execute("BEGIN IMMEDIATE")
            await writer.executemany(module._INSERT, prepared[start : start + BATCH])
            await writer.execute("COMMIT")
        seconds = time.perf_counter() - started
    else:
        from auditmw.stores import postgres as module

        seconds = await module_copy(store, module, rows, count)
    await store.close()
    return seconds


async def module_copy(store: Any, module: Any, rows: list[list[Any]], count: int) -> float:
    """Binary COPY of the rows in batches."""
    from auditmw.stores.columns import WRITER

    async with store._connection() as db:
        await db.execute("INSERT INTO audit_writers (id, writer, last_seq) VALUES (1, $1, 0)", "00" * 16)
        prepared = []
        for row in rows:
            values = list(row)
            values[WRITER] = 1
            prepared.append(module._written(values) if hasattr(module, "_written") else tuple(values))
        started = time.perf_counter()
        for start in range(0, count, BATCH):
            async with db.transaction():
                await db.copy_records_to_table(
                    "audit_entries", records=prepared[start : start + BATCH], columns=module._WRITTEN
                )
        return time.perf_counter() - started


def run_children(url: str, folder: str, entries: int, count: int, mode: str) -> float:
    """Seconds until `count` processes have each stored `entries`."""
    return max(child["seconds"] for child in children(url, folder, entries, count, mode))


def children(url: str, folder: str, entries: int, count: int, mode: str) -> list[dict[str, float]]:
    """What so many producing processes report."""
    command = [sys.executable, __file__, "--child", url, f"{folder}/journal-{mode}-{count}", str(entries), mode]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(count)]
    return [json.loads(child.communicate()[0]) for child in running]


def shipping_seconds(url: str, folder: str, entries: int) -> float:
    """Seconds until a shipper beside a producer has stored everything."""
    journal = f"{folder}/journal-external-1"
    Path(journal).mkdir(mode=0o700)
    shipper = subprocess.Popen(
        [sys.executable, "-m", "auditmw", "ship", "--db", url, "--journal-dir", journal], stderr=subprocess.DEVNULL
    )
    time.sleep(2)
    seconds = run_children(url, folder, entries, 1, "external")
    shipper.terminate()
    shipper.wait()
    return seconds


def produce(url: str, journal: str, count: int, mode: str) -> dict[str, float]:
    """Seal `count` entries as fast as possible and wait until they are stored."""
    trail = AuditTrail(url, journal_dir=journal, writer="external" if mode == "external" else "thread")
    if mode == "waiting":
        return waiting(trail, count)
    if mode == "thread":
        trail.start()
        seal_many(trail, 10)
        trail.sync.flush()
    started = time.perf_counter()
    seal_many(trail, count)
    produced = time.perf_counter() - started
    trail.sync.flush(300)
    seconds = time.perf_counter() - started
    trail.close()
    return {"seconds": seconds, "produced": produced}


def waiting(trail: AuditTrail, count: int) -> dict[str, float]:
    """What an entry costs in memory while the store is away."""

    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(3600)

    trail._store.open = never  # type: ignore[method-assign]  # an outage
    seal_many(trail, 10)
    before = resident_kb()
    seal_many(trail, count)
    print(json.dumps({"waiting_kb": (resident_kb() - before) / count}))
    sys.stdout.flush()
    os._exit(0)


def resident_kb() -> float:
    """Resident memory of this process."""
    return psutil.Process().memory_info().rss / 1024


def seal_many(trail: AuditTrail, count: int) -> None:
    """Entries as a wrapped client makes them, without the call."""
    usage = Usage(
        input_tokens=700, output_tokens=200, cache_read_tokens=0, raw={"input_tokens": 700, "output_tokens": 200}
    )
    cost = Cost(
        status="priced",
        nano=3_400_000,
        source="genai-prices 0.2.3",
        unit_prices={"input_mtok": "2", "output_mtok": "10"},
    )
    recorder, sink = trail.recorder(), trail.sink
    for number in range(count):
        call = recorder.draft(
            provider="anthropic",
            model=f"claude-{number % 5}",
            user_id=f"user-{number % 500}",
            session_id="session",
            tenant="acme",
            response_id="msg_01",
            latency_us=1_234_567,
            input_hash="ab" * 32,
            output_hash="cd" * 32,
            hash_key_id="ef" * 8,
            http_status=200,
            usage=usage,
            cost=cost,
            status="success",
        )
        sink.admit(call)
        sink.seal(call)


if __name__ == "__main__":
    main()
