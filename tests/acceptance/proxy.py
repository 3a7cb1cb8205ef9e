"""A proxy between a client and PostgreSQL's socket that delays, cuts, half-closes or holds what it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Self


class Fate(Enum):
    """What becomes of a piece of data that a client sends, and of its connection."""

    PASS = auto()
    CUT = auto()
    """The data does not arrive, and both ends lose the connection."""
    CUT_AFTER = auto()
    """The data arrives; the answer does not."""
    HALF_CLOSE = auto()
    """The data arrives, and then the server hears that nothing more will come; it may still answer."""
    HOLD = auto()
    """The data does not arrive, and nobody hears anything ever after."""


class Proxy:
    """Serves in a thread of its own while it is entered. `decide` is asked about everything that a client sends."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.decide: Callable[[bytes], Fate] = lambda _: Fate.PASS
        self.delay = 0.0
        """Seconds by which each piece of data is late, in both directions."""
        self.refuses = False
        """Whether new connections are cut at once."""
        self.port = 0
        self.connections = 0

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(started),), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """What a trail connects to."""
        return f"postgresql://{user}:@127.0.0.1:{self.port}/{database}"

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._end.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.connections += 1
        to_server: Any = None
        answers: Any = None
        with suppress(OSError, asyncio.CancelledError):
            if not self.refuses:
                server, to_server = await asyncio.open_unix_connection(self._socket)
                answers = asyncio.create_task(self._answer(server, to_client))
                await self._ask(client, to_server, answers)
        if answers is not None:
            answers.cancel()
        to_client.transport.abort()
        if to_server is not None:
            to_server.transport.abort()

    async def _ask(
        self, client: asyncio.StreamReader, server: asyncio.StreamWriter, answers: asyncio.Task[None]
    ) -> None:
        while data := await client.read(65536):
            await asyncio.sleep(self.delay)
            fate = await asyncio.to_thread(self.decide, data)
            if fate is Fate.HOLD:
                await self._end.wait()  # an event of its own would be garbage together with this task
                return
            if fate is Fate.CUT:
                return
            if fate is Fate.CUT_AFTER:
                answers.cancel()
            server.write(data)
            await server.drain()
            if fate is Fate.CUT_AFTER:
                await asyncio.sleep(0.02)  # the server acts on it; nobody hears of it
                return
            if fate is Fate.HALF_CLOSE:
                server.write_eof()
                await asyncio.wait([answers], timeout=1)
                return

    async def _answer(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await server.read(65536):
                await asyncio.sleep(self.delay)
                client.write(data)
                await client.drain()
        client.transport.abort()
