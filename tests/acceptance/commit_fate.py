"""Cuts the connection to PostgreSQL just after COMMIT was sent, and counts what was then stored twice or lost.

    python tests/acceptance/commit_fate.py --rounds 50

The writer talks to PostgreSQL through a proxy on loopback that forwards the COMMIT and then cuts the line before the
answer comes back: the writer cannot know whether it was committed, and tries the same batch again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

from postgres import Postgres
from proxy import Fate, Proxy

from auditmw import AuditTrail


async def run(server: Postgres, folder: Path, rounds: int) -> Counter[str]:
    """Cut `rounds` commits; gives the counts."""
    made: list[str] = []
    cuts = armed = 0

    def decide(data: bytes) -> Fate:
        nonlocal cuts, armed
        if not armed or b"COMMIT" not in data:
            return Fate.PASS
        armed, cuts = 0, cuts + 1
        return Fate.CUT_AFTER

    with Proxy(server.socket) as proxy:
        proxy.decide = decide
        async with AuditTrail(proxy.url(), journal_dir=folder) as trail:
            for _ in range(rounds):
                armed = 1
                with trail.context(user_id="alice") as context:
                    for _ in range(7):
                        async with trail.call(action="test"):
                            pass
                made += context.request_ids
                await trail.flush(30)
            stored = Counter([entry.request_id async for entry in trail.query()])
            seqs = [(entry.writer, entry.seq) async for entry in trail.query()]
    assert len(seqs) == len(set(seqs))
    return Counter(
        cuts=cuts,
        made=len(made),
        lost=len(set(made) - stored.keys()),
        doubled=sum(count - 1 for count in stored.values()),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    with Postgres() as server, tempfile.TemporaryDirectory() as folder:
        counts = asyncio.run(run(server, Path(folder), options.rounds))
    print(f"{counts['cuts']} commits cut, {counts['made']} calls; lost: {counts['lost']}, doubled: {counts['doubled']}")
    return 1 if counts["lost"] or counts["doubled"] or counts["cuts"] < options.rounds else 0


if __name__ == "__main__":
    sys.exit(main())
