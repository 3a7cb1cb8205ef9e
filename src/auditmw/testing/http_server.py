"""HTTP/1.1 for the stand-in: reads requests, plays the steps of replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from auditmw.testing.reply import Reply, Signal
from auditmw.testing.requests import ReceivedRequest

_BACKLOG = 1024
_FLUSH_BYTES = 65536
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_LAST_CHUNK = b"0\r\n\r\n"
_LENGTH_REQUIRED = b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class HttpServer:
    """Listens on a free port of loopback, in the running loop; `respond` is asked for every reply."""

    def __init__(self, respond: Callable[[ReceivedRequest], Reply]) -> None:
        self.respond = respond
        self.connections: set[_Connection] = set()
        self.gate = asyncio.Event()

    async def listen(self) -> str:
        """Start; returns the URL."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=_BACKLOG)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def release(self) -> None:
        """Let the replies that hold now go on, and no later ones."""
        self.gate.set()
        self.gate = asyncio.Event()

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        self._server.close()
        while self.connections:
            for connection in self.connections:
                connection.abort()
            await asyncio.sleep(0)
        await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    """Answers one request after the other. A task plays each reply; it is cancelled when the client leaves."""

    _transport: asyncio.Transport

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._received = bytearray()
        self._playing: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (what create_server makes; for the type checker)
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (why it was lost changes nothing)
        self._server.connections.discard(self)
        if self._playing is not None:
            self._playing.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._playing is None:
            self._next_request()

    def _next_request(self) -> None:
        request = self._take_request()
        if request is not None:
            self._playing = asyncio.get_running_loop().create_task(self._play(request))
            self._playing.add_done_callback(self._played)

    def _take_request(self) -> ReceivedRequest | None:
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        first, *lines = self._received[:head_end].decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "transfer-encoding" in headers:
            self._transport.write(_LENGTH_REQUIRED)
            self._transport.close()
            return None
        end = head_end + 4 + int(headers.get("content-length", 0))
        if len(self._received) < end:
            return None
        body = bytes(self._received[head_end + 4 : end])
        del self._received[:end]
        return ReceivedRequest(method, path, headers, body)

    async def _play(self, request: ReceivedRequest) -> None:
        reply = self._server.respond(request)
        # the head goes out with the first event, so that a reply that hangs or drops at once has no status either
        pending = bytearray(_head(reply))
        has_events = False
        for step in reply.steps:
            if isinstance(step, bytes):
                has_events = True
                pending += b"%x\r\n%b\r\n" % (len(step), step)
                if len(pending) < _FLUSH_BYTES:
                    continue
            if has_events:
                self._transport.write(bytes(pending))
                pending.clear()
                await self._writable.wait()
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif step is Signal.HOLD:
                await self._server.gate.wait()
            elif step is Signal.CUT:
                self._transport.close()
                return
        self._transport.write(bytes(pending) + _LAST_CHUNK)
        await self._writable.wait()
        if request.headers.get("connection", "").lower() == "close":
            self._transport.close()

    def _played(self, task: asyncio.Task[None]) -> None:
        self._playing = None
        if task.cancelled():
            return
        if task.exception() is not None:
            self._transport.abort()
            task.result()  # raises: the loop logs it
        elif not self._transport.is_closing():
            self._next_request()


def _head(reply: Reply) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**reply.headers, "transfer-encoding": "chunked"}.items()]
    phrase = _PHRASES.get(reply.status, "Overloaded")
    return "\r\n".join([f"HTTP/1.1 {reply.status} {phrase}", *lines, "", ""]).encode("latin-1")
