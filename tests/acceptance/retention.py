"""A million expired entries are removed while somebody writes: memory, time, and what the writer noticed.

    python tests/acceptance/retention.py [--rows 1000000] [--db URL]

Without --db it makes a SQLite trail in a temporary directory. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

from auditmw.clock import SystemClock
from auditmw.entry import AuditEntry
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.policy import read_policy
from auditmw.privacy.sweep import Sweep
from auditmw.rolling import roll
from auditmw.stores import store_for
from auditmw.stores.privacy import open_privacy
from auditmw.stores.protocol import Batch
from auditmw.verification import verify_trail

BATCH = 1000
LATER_US = timedelta(days=3 * 366) // timedelta(microseconds=1)


class Later(SystemClock):
    def now_us(self):
        return super().now_us() + LATER_US


def make(number: int) -> AuditEntry:
    return AuditEntry(
        request_id=f"r{number}",
        timestamp_us=time.time_ns() // 1000,
        call_id=f"r{number}",
        action="ask",
        user_id=f"user-{number % 100}",
        model="claude-opus-4",
        input_tokens=number % 1000,
        output_tokens=20,
        cost_nano=1000,
        cost_status="priced",
        metadata={"team": "x"},
    )


async def fill(url: str, rows: int) -> None:
    store = store_for(url)
    await store.open()
    for first in range(0, rows, BATCH):
        count = min(BATCH, rows - first)
        await store.append(Batch("old", first + 1, [make(first + n) for n in range(count)]))
    while await roll(store.rollups):
        pass
    await store.close()


async def write(url: str, seconds: list[float], stop: threading.Event) -> None:
    store = store_for(url)
    await store.open()
    seq = 1
    while not stop.is_set():
        started = time.monotonic()
        await store.append(Batch("new", seq, [make(10_000_000 + seq + n) for n in range(20)]))
        seconds.append(time.monotonic() - started)
        seq += 20
        await asyncio.sleep(0.02)
    await store.close()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--db")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="auditmw-retention-") as folder:
        url = options.db or f"sqlite:///{Path(folder) / 'audit.db'}"
        asyncio.run(fill(url, options.rows))
        store = open_privacy(url)
        with ControlLog(url) as log:
            set_policy(log, store, read_policy("standard"))
        batches: list[float] = []
        stop = threading.Event()
        writer = threading.Thread(target=lambda: asyncio.run(write(url, batches, stop)))
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        writer.start()
        time.sleep(2)
        alone, started = len(batches), time.monotonic()
        log = ControlLog(url)
        log.clock = Later()
        with log:
            swept = Sweep(log, store, seconds=3600, confirmed=True).run()
        took = time.monotonic() - started
        during = batches[alone:] or batches
        stop.set()
        writer.join()
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
        store.close()
        report = verify_trail(url)
    result = {
        "removed": swept.removed,
        "seconds": round(took, 1),
        "memory_grown_mb": round(grown_mb, 1),
        "writer_batches": len(during),
        "writer_p50_ms": round(1000 * statistics.median(during), 1),
        "writer_p99_ms": round(1000 * sorted(during)[int(len(during) * 0.99)], 1),
        "writer_max_ms": round(1000 * max(during), 1),
        "verdict": report.verdict,
        "findings": len(report.findings),
    }
    print(json.dumps(result))
    return 0 if swept.removed >= options.rows and not report.findings else 1


if __name__ == "__main__":
    sys.exit(main())
