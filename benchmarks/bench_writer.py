"""Entries a second, end to end into each store, as a share of what the database takes raw.

    python benchmarks/bench_writer.py [--entries 40000] [--stores sqlite postgres jsonl] [--rounds 3] [--json FILE]

`raw` is what `raw_rates.py` says, in batches of 200 and of 2,000; shares are of the faster one. `thread` is the writer
as by default, journal and log on, with a producer that seals entries in the same process as fast as it can, until all
is stored; `rolled` is the same until the rollups hold it too and the trail is closed. `N processes` are as many of
those into one trail, from the first that begins until all is stored; into JSON lines one goes after the other. `ship`
has the producer only journal, and `auditmw ship` store; `2 ship` are two of both. `drain` is a shipper that finds
everything journalled already, until it is stored and rolled. All of it runs in this order in each round; shown are
medians.
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
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
import saved

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "acceptance"))

from postgres import Postgres
from raw_rates import raw_rate

from auditmw import AuditTrail
from auditmw.entry import AuditEntry, Cost, Usage
from auditmw.prices import PriceBook
from auditmw.shipping import Shipper
from auditmw.signing import make_signing
from auditmw.stores import store_for

BATCHES = (200, 2000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres", "jsonl"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 4, 8])
    saved.add_option(parser)
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
        show(kind, cases)
    saved.save(options, results)


def show(kind: str, cases: dict[str, list[float]]) -> None:
    """One store's medians, and each as a share of the raw rate."""
    medians = {case: statistics.median(rates) for case, rates in cases.items()}
    raw = max((rate for case, rate in medians.items() if case.startswith("raw")), default=0.0)
    print(f"\n{kind}")
    for case, rate in medians.items():
        if case == "memory KB":
            print(f"  {case:14} {rate:10,.2f} an entry that waits")
        else:
            share = f"   {rate / raw:.2f} of raw" if raw else ""
            print(f"  {case:14} {rate:10,.0f} entries/s{share}")


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
            sample = sealed_entries(entries)
            for batch in BATCHES:
                rates[f"raw of {batch:,}"] = raw_rate(place(f"raw{batch}"), sample, batch)
        for count in processes:
            reports = children(place(f"thread{count}"), folder, entries, count, "thread")
            rates["thread" if count == 1 else f"{count} processes"] = entries * count / span(reports, "stored")
            if count == 1:
                rates["rolled"] = entries / span(reports, "closed")
        if kind != "jsonl":
            rates["ship"] = entries / shipping_seconds(place("ship"), folder, entries, 1)
            rates["2 ship"] = 2 * entries / shipping_seconds(place("ship2"), folder, entries, 2)
            rates["drain"] = entries / span(children(place("drain"), folder, entries, 1, "drain"), "closed")
            rates["memory KB"] = children(place("memory"), folder, entries, 1, "waiting")[0]["waiting_kb"]
    return rates


async def new_database(url: str, name: str) -> None:
    """A database of its own for one case."""
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


def sealed_entries(count: int) -> list[AuditEntry]:
    """So many entries as the writer gets them."""
    trail = AuditTrail("memory://")
    with trail:
        seal_many(trail, count)
        trail.sync.flush()
        return list(trail.sync.query())


def span(reports: list[dict[str, float]], until: str) -> float:
    """The seconds from when the first process began until the last had come so far: their clock is the machine's."""
    return max(report[until] for report in reports) - min(report["began"] for report in reports)


def children(
    url: str, folder: str, entries: int, count: int, mode: str, journals: list[str] | None = None
) -> list[dict[str, float]]:
    """What so many producing processes report."""
    command = [sys.executable, __file__, "--child", url]
    places = journals or [f"{folder}/journal-{mode}-{count}"] * count
    running = [
        subprocess.Popen([*command, journal, str(entries), mode], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for journal in places
    ]
    return [json.loads(child.communicate()[0]) for child in running]


@contextmanager
def shippers(url: str, journals: list[str]) -> Iterator[None]:
    """One `auditmw ship` for each journal directory."""
    running = []
    for journal in journals:
        Path(journal).mkdir(mode=0o700, exist_ok=True)
        command = [sys.executable, "-m", "auditmw", "ship", "--db", url, "--journal-dir", journal]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
    try:
        yield
    finally:
        for shipper in running:
            shipper.terminate()
            shipper.wait()


def shipping_seconds(url: str, folder: str, entries: int, count: int) -> float:
    """Seconds until shippers, each beside a producer of its own, have stored everything."""
    journals = [f"{folder}/journal-ship-{count}-{number}" for number in range(count)]
    with shippers(url, journals):
        time.sleep(2)
        return span(children(url, folder, entries, count, "external", journals), "stored")


def produce(url: str, journal: str, count: int, mode: str) -> dict[str, float]:
    """Seal `count` entries as fast as possible and wait until they are stored."""
    trail = AuditTrail(url, journal_dir=journal, writer="external" if mode in {"external", "drain"} else "thread")
    if mode == "waiting":
        return waiting(trail, count)
    if mode == "drain":
        return draining(trail, url, Path(journal), count)
    if mode == "thread":
        trail.start()
        seal_many(trail, 10)
        trail.sync.flush()
    began = time.monotonic()
    seal_many(trail, count)
    trail.sync.flush(300)
    stored = time.monotonic()
    trail.close(60)
    return {"began": began, "stored": stored, "closed": time.monotonic()}


def draining(trail: AuditTrail, url: str, journal: Path, count: int) -> dict[str, float]:
    """A shipper, warm, finds so many entries."""
    store, prices = store_for(url), PriceBook()

    def ship() -> dict[str, float]:
        shipper = Shipper(
            store, journal, signing=lambda health: make_signing(store, url, journal, health), prices=prices
        )
        began = time.monotonic()
        asyncio.run(shipper.run(once=True))
        return {"began": began, "closed": time.monotonic()}

    seal_many(trail, 10)
    ship()
    seal_many(trail, count)
    return ship()


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
    cost = Cost(
        status="priced",
        nano=3_400_000,
        source="genai-prices 0.2.3",
        unit_prices={"input_mtok": "2", "output_mtok": "10"},
    )
    recorder, sink = trail.recorder(), trail.sink
    for number in range(count):
        counts = {"input_tokens": 700 + number % 991, "output_tokens": 200 + number % 97}  # hardly ever the same
        usage = Usage(cache_read_tokens=0, raw=counts, **counts)
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
        if not sink.reserve():
            sink.wait_for_room(call)
        sink.seal(call)


if __name__ == "__main__":
    main()
