"""Calls go on while the store cannot be reached: prints what a waiting entry takes in memory and on disk.

    python tests/acceptance/memory.py --entries 100000

Entries wait in memory up to a bound and behind that in the journal alone, so memory stays flat however long it lasts.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections import Counter
from pathlib import Path

import psutil

from auditmw import AuditTrail, backlog
from auditmw.entry import Usage

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nowhere"
MOST_GROWTH = 8e6
"""Bytes by which the process may grow once memory holds all that it ever does."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.entries)
    print(f"{result['waiting']:,} entries waiting, none dropped: {result['dropped'] == 0}")
    print(
        f"in memory: {result['held_bytes'] / backlog.MEMORY_ENTRIES:.0f} bytes an entry of {backlog.MEMORY_ENTRIES:,}"
    )
    print(f"in the journal: {result['journal_bytes'] / result['waiting']:.0f} bytes an entry")
    print(
        f"resident memory: {result['empty'] / 1e6:.1f} MB with nothing waiting, {result['full'] / 1e6:.1f} MB with "
        f"{2 * backlog.MEMORY_ENTRIES:,} waiting, {result['end'] / 1e6:.1f} MB at the end"
    )
    return 1 if result["dropped"] or result["end"] - result["full"] > MOST_GROWTH else 0


def run(folder: Path, entries: int) -> Counter[str]:
    """Record so many entries during an outage; gives the figures in bytes."""
    process = psutil.Process()

    def resident() -> int:
        gc.collect()
        return int(process.memory_info().rss)

    trail = AuditTrail(UNREACHABLE, journal_dir=folder)
    usage = Usage(input_tokens=812, cache_read_tokens=512, output_tokens=95, raw={"input_tokens": 812})

    def record(count: int) -> None:
        for number in range(count):
            with (
                trail.context(user_id=f"user-{number % 100}", session_id="session-1", tenant="acme"),
                trail.call(action="support.answer", model="claude-opus-5-5", provider="anthropic") as call,
            ):
                call.usage = usage
                call.response_model = "claude-opus-5-5"
                call.system_prompt_hash = call.input_hash = call.output_hash = "ab" * 32

    record(100)
    empty = resident()
    record(2 * backlog.MEMORY_ENTRIES)
    full, held_bytes = resident(), resident() - empty
    record(entries - 2 * backlog.MEMORY_ENTRIES - 100)
    end, health = resident(), trail.health()
    trail.close(0.1)
    return Counter(
        waiting=health.queue_entries,
        dropped=health.dropped,
        journal_bytes=health.journal_bytes,
        held_bytes=held_bytes,
        empty=empty,
        full=full,
        end=end,
    )


if __name__ == "__main__":
    sys.exit(main())
