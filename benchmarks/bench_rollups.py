"""What keeping rollups costs the writer: its whole pipeline with them and without, in turn, in one run.

    python benchmarks/bench_rollups.py [--entries 100000] [--stores sqlite postgres] [--rounds 3]

Each time a process of its own seals entries of 500 users and 5 models as fast as it can, and its writer journals them,
extends the log, stores them, and with rollups brings these up to the last entry; the clock stops when the trail is
closed. Shown are medians of rounds: the share of the throughput that rollups take, and that of the process's CPU, which
says the same on a machine that has other things to do (PostgreSQL's own work is not in it).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import saved
from bench_writer import new_database, seal_many

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "acceptance"))

from postgres import Postgres

from auditmw import AuditTrail


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"])
    parser.add_argument("--rounds", type=int, default=3)
    saved.add_option(parser)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        url, journal, kept = options.child
        print(json.dumps(produce(url, journal, options.entries, keep=kept == "with")))
        return
    figures = {}
    for kind in options.stores:
        rounds = [measure(kind, options.entries, number) for number in range(options.rounds)]
        shares = {
            name: statistics.median(1 - bare[name] / kept[name] for bare, kept in rounds) for name in ("wall", "cpu")
        }
        bare, kept = (statistics.median(options.entries / pair[place]["wall"] for pair in rounds) for place in (0, 1))
        print(f"{kind}: {bare:,.0f} entries/s without rollups, {kept:,.0f} with them")
        print(f"  they take {shares['wall']:.1%} of the throughput, {shares['cpu']:.1%} of the CPU", flush=True)
        figures[kind] = {"without": bare, "with": kept, "shares": shares}
    saved.save(options, figures)


def measure(kind: str, entries: int, number: int) -> tuple[dict[str, float], dict[str, float]]:
    """One round: without rollups and with them, now this one first and now that one."""
    found: dict[str, dict[str, float]] = {}
    with Postgres() if kind == "postgres" else nullcontext() as server, tempfile.TemporaryDirectory() as folder:
        for case in ("without", "with") if number % 2 else ("with", "without"):
            url = f"sqlite:///{folder}/{case}.db"
            if server is not None:
                asyncio.run(new_database(server.url, f"{case}_rollups"))
                url = server.url.replace("/postgres?", f"/{case}_rollups?")
            command = [sys.executable, __file__, "--entries", str(entries), "--child", url, f"{folder}/{case}", case]
            child = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            found[case] = json.loads(child.stdout)
    return found["without"], found["with"]


def produce(url: str, journal: str, count: int, *, keep: bool) -> dict[str, float]:
    """Seconds from the first entry until all is stored, rolled up and closed."""
    trail = AuditTrail(url, journal_dir=journal)
    if not keep:
        trail._store.rollups = None
    trail.start()
    seal_many(trail, 10)
    trail.sync.flush()
    started, busy = time.perf_counter(), time.process_time()
    seal_many(trail, count)
    trail.sync.flush(300)
    trail.close(60)
    return {"wall": time.perf_counter() - started, "cpu": time.process_time() - busy}


if __name__ == "__main__":
    main()
