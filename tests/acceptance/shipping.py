"""Applications that only journal, and a shipper that is killed again and again: counts what is lost or doubled.

python tests/acceptance/shipping.py --kills 20 [--postgres]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from postgres import Postgres

from auditmw import AuditTrail

APPLICATIONS = 3
RATE = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of its own instead of SQLite")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        application(options.child[0], options.child[1], float(options.child[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder, Postgres() if options.postgres else nullcontext() as server:
        url = server.url if server else f"sqlite:///{folder}/audit.db"
        counts = run(url, Path(folder) / "journal", options.kills)
    print(f"{counts['made']} calls by {APPLICATIONS} applications, the shipper killed {options.kills} times")
    print(f"lost: {counts['lost']}   doubled: {counts['doubled']}")
    return 1 if counts["lost"] or counts["doubled"] or not counts["made"] else 0


def run(url: str, journal: Path, kills: int) -> Counter[str]:
    """Let applications journal while shippers are killed; gives the counts."""
    seconds = str(kills * 0.6 + 3)
    applications = [
        subprocess.Popen(
            [sys.executable, __file__, "--child", url, str(journal), seconds],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(APPLICATIONS)
    ]
    command = [sys.executable, "-m", "auditmw", "ship", "--db", url, "--journal-dir", str(journal)]
    for _ in range(kills):
        shipper = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(0.6)
        shipper.send_signal(signal.SIGKILL)
        shipper.wait()
    shipper = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    made = {line.decode() for child in applications for line in child.communicate()[0].split()}
    shipper.terminate()
    shipper.wait(30)
    subprocess.run([*command, "--once"], check=True, stderr=subprocess.DEVNULL)
    stored = Counter(asyncio.run(ids(url)))
    return Counter(made=len(made), lost=len(made - stored.keys()), doubled=sum(count - 1 for count in stored.values()))


async def ids(url: str) -> list[str]:
    """The ids of all stored entries."""
    trail = AuditTrail(url)
    found = [entry.request_id async for entry in trail.query()]
    await trail.aclose()
    return found


def application(url: str, journal: str, seconds: float) -> None:
    """Record blocks at a steady rate, and print the id of each."""
    trail = AuditTrail(url, journal_dir=journal, writer="external")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with trail.context(user_id="alice") as context, trail.call(action="test"):
            pass
        os.write(1, context.request_ids[-1].encode() + b"\n")
        time.sleep(1 / RATE)
    trail.close()


if __name__ == "__main__":
    sys.exit(main())
