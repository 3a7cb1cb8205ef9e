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
from contextlib import suppress
from pathlib import Path

from postgres import Postgres

from auditmw import AuditTrail


class CuttingProxy:
    """Forwards bytes; with `armed`, cuts a connection when it has sent a COMMIT on."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.armed = False
        self.cuts = 0

    async def serve(self) -> asyncio.Server:
        """Listen on a free port of loopback."""
        return await asyncio.start_server(self._connection, "127.0.0.1", 0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._socket)

        async def to_client() -> None:
            while data := await up_reader.read(65536):
                writer.write(data)
                await writer.drain()

        answers = asyncio.create_task(to_client())
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if self.armed and b"COMMIT" in data:
                    self.armed = False
                    self.cuts += 1
                    answers.cancel()
                    up_writer.write(data)
                    await up_writer.drain()
                    await asyncio.sleep(0.02)  # PostgreSQL commits; nobody hears of it
                    break
                up_writer.write(data)
                await up_writer.drain()
        answers.cancel()
        writer.transport.abort()
        up_writer.close()


async def run(server: Postgres, folder: Path, rounds: int) -> Counter[str]:
    """Cut `rounds` commits; gives the counts."""
    data = server.url.partition("host=")[2]
    proxy = CuttingProxy(f"{data}/.s.PGSQL.5432")
    listener = await proxy.serve()
    port = listener.sockets[0].getsockname()[1]
    made: list[str] = []
    async with listener, AuditTrail(f"postgresql://postgres:@127.0.0.1:{port}/postgres", journal_dir=folder) as trail:
        for _ in range(rounds):
            proxy.armed = True
            with trail.context(user_id="alice") as context:
                for _ in range(7):
                    async with trail.call(action="test"):
                        pass
            made += context.request_ids
            await trail.flush(30)
        stored = Counter([entry.request_id async for entry in trail.query()])
        entries = [entry.seq async for entry in trail.query()]
    assert len(entries) == len(set(entries))
    return Counter(
        cuts=proxy.cuts,
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
