"""Kills an application at random moments while it makes concurrent calls, and counts what its trail then lacks.

    python tests/acceptance/sigkill.py --rounds 200 [--postgres | --db URL]

Each round a child process makes calls through a wrapped client, says through a pipe which of them have returned, and
is killed (SIGKILL). Afterwards a new trail on the same journal recovers. Three numbers are printed, which must all be
0: calls acknowledged and not stored, entries stored twice, requests sent that left no trace.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

import anthropic
from postgres import Postgres

from auditmw import AuditTrail
from auditmw.testing import Pace, ReceivedRequest, StandInProvider

CONCURRENT = 50
FORKS = multiprocessing.get_context("forkserver")
"""Its children have the imports done: a round takes as long as its calls."""
FORKS.set_forkserver_preload(["anthropic", "auditmw.clients.anthropic", "auditmw.stores.sqlite", "asyncpg", "httpx2"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--db", help="a trail URL; default: a new SQLite database")
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of its own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Postgres() if options.postgres else nullcontext() as server:
        url = server.url if server else options.db or f"sqlite:///{folder}/audit.db"
        counts = asyncio.run(run(url, Path(folder) / "journal", options.rounds))
    print(
        f"{options.rounds} kills, {counts['acknowledged']} calls acknowledged, {counts['sent']} requests sent, "
        f"{counts['interrupted']} entries interrupted"
    )
    print(f"acknowledged and not stored: {counts['lost']}")
    print(f"stored twice: {counts['doubled']}")
    print(f"requests sent that left no trace: {counts['untraced']}")
    return 1 if counts["lost"] or counts["doubled"] or counts["untraced"] else 0


async def run(url: str, journal: Path, rounds: int) -> Counter[str]:
    """Kill `rounds` children and compare what was acknowledged and sent with what is stored."""
    acknowledged: set[str] = set()
    with StandInProvider(answer="a short answer") as provider:
        provider.rule(lambda request: b'"stream":true' in request.body, Pace(0.002))
        for number in range(rounds):
            acknowledged |= kill_one(url, journal, provider.url, number)
        sent = {marker_of(request) for request in provider.requests}
    async with AuditTrail(url, journal_dir=journal) as trail:
        await trail.flush(120)
        entries = [entry async for entry in trail.query()]
    stored = Counter(entry.request_id for entry in entries)
    traced = {entry.session_id for entry in entries}
    return Counter(
        acknowledged=len(acknowledged),
        sent=len(sent),
        interrupted=sum(entry.status == "interrupted" for entry in entries),
        lost=len(acknowledged - stored.keys()),
        doubled=sum(count - 1 for count in stored.values()),
        untraced=len(sent - traced),
    )


def kill_one(url: str, journal: Path, provider_url: str, number: int) -> set[str]:
    """Start a child, kill it at a random moment, and give the ids of the calls that had returned."""
    heard, said = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=application, args=(url, str(journal), provider_url, number, said))
    child.start()
    said.close()
    with open(heard.fileno(), "rb", closefd=False) as pipe:
        pipe.readline()  # it makes calls now
        lines = [pipe.readline()] if number % 4 else []  # and one has returned, but in each fourth round
        time.sleep(random.Random(number).uniform(0.0, 0.4))
        child.kill()
        lines += pipe.readlines()
    child.join()
    child.close()
    heard.close()
    return {line.decode().strip() for line in lines if line.endswith(b"\n")}


def marker_of(request: ReceivedRequest) -> str:
    """The mark of a call, which travels in its body and is its session in the trail."""
    return str(json.loads(request.body)["metadata"]["user_id"])


def application(url: str, journal: str, provider_url: str, number: int, said: Connection) -> None:
    """Make calls for ever, and say the id of each call that has returned."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    asyncio.run(calls(url, journal, provider_url, number, said.fileno()))


async def calls(url: str, journal: str, provider_url: str, number: int, pipe: int) -> None:
    """The calls of one child."""
    trail = AuditTrail(url, journal_dir=journal)
    client = trail.wrap(anthropic.AsyncAnthropic(api_key="test", base_url=provider_url, max_retries=0))
    os.write(pipe, b"ready\n")

    async def caller(name: str) -> None:
        made = 0
        while True:
            made += 1
            mark = f"{number}-{name}-{made}"
            body = {
                "model": "claude-haiku-5-5",
                "max_tokens": 20,
                "messages": [{"role": "user", "content": "hello"}],
                "metadata": {"user_id": mark},
            }
            with trail.context(user_id=name, session_id=mark) as context:
                if made % 3:
                    await client.messages.create(**body)
                else:
                    async for _ in await client.messages.create(**body, stream=True):
                        pass
            os.write(pipe, context.request_ids[-1].encode() + b"\n")

    await asyncio.gather(*(caller(f"user-{n}") for n in range(CONCURRENT)))


if __name__ == "__main__":
    sys.exit(main())
