"""Many processes with many threads write one PostgreSQL trail at once: every writer's sequence must be complete.

python tests/acceptance/processes.py --processes 8 --threads 4 --calls 500
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import asyncpg
from postgres import Postgres

from auditmw import AuditTrail
from auditmw.verification import verify_trail


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--calls", type=int, default=500, help="by each thread")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        url, journal, threads, calls = options.child
        application(url, journal, int(threads), int(calls))
        return 0
    with Postgres() as server, tempfile.TemporaryDirectory() as folder:
        counts = run(server.url, Path(folder), options.processes, options.threads, options.calls)
    print(
        f"{options.processes} processes x {options.threads} threads, {counts['made']} calls made and "
        f"{counts['entries']} entries stored by {counts['writers']} writers in {counts['seconds']} s"
    )
    print(f"lost: {counts['lost']}   doubled: {counts['doubled']}   incomplete sequences: {counts['incomplete']}")
    print(f"verification: {'sound' if counts['sound'] else 'NOT SOUND'}")
    failed = counts["lost"] or counts["doubled"] or counts["incomplete"] or not counts["sound"]
    return 1 if failed else 0


def run(url: str, folder: Path, processes: int, threads: int, calls: int) -> Counter[str]:
    """Let the processes write, then compare what they made with what is stored."""
    command = [sys.executable, __file__, "--child", url, str(folder / "journal"), str(threads), str(calls)]
    started = time.monotonic()
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(processes)
    ]
    made = [line for child in children for line in child.communicate()[0].split()]
    seconds = time.monotonic() - started
    assert all(child.returncode == 0 for child in children)
    return asyncio.run(compare(url, made)) + Counter(seconds=round(seconds))


async def compare(url: str, made: list[str]) -> Counter[str]:
    """What is stored against what was made."""
    async with AuditTrail(url, durability="memory") as trail:
        stored = Counter([entry.request_id async for entry in trail.query()])
    db = await asyncpg.connect(url)
    rows = await db.fetch(
        "SELECT writer_id, count(*) AS entries, count(DISTINCT seq) AS numbers, min(seq) AS first, max(seq) AS last "
        "FROM audit_entries GROUP BY writer_id"
    )
    await db.close()
    report = await asyncio.to_thread(verify_trail, url)
    return Counter(
        made=len(made),
        entries=sum(row["entries"] for row in rows),
        writers=len(rows) - 1,  # one of them is the one that has just read
        lost=len(set(made) - stored.keys()),
        doubled=sum(count - 1 for count in stored.values()),
        incomplete=sum(
            (row["first"], row["last"], row["numbers"]) != (1, row["entries"], row["entries"]) for row in rows
        ),
        sound=int(report.verdict == "self-consistent"),
    )


def application(url: str, journal: str, threads: int, calls: int) -> None:
    """Record blocks from several threads, each at its own random pace, and print their ids."""
    trail = AuditTrail(url, journal_dir=journal)

    def work(number: int) -> None:
        pace = random.Random(os.getpid() * 100 + number)
        for _ in range(calls):
            with trail.context(user_id=f"{os.getpid()}-{number}") as context, trail.call(action="test"):
                time.sleep(pace.uniform(0, 0.002))
            os.write(1, context.request_ids[-1].encode() + b"\n")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    trail.close(60)


if __name__ == "__main__":
    sys.exit(main())
