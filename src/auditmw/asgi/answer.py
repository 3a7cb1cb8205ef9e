"""The answer of an LLM endpoint on its way to the client, recorded as it passes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from auditmw.asgi.headers import is_json, replace_headers
from auditmw.asgi.types import Message, Send
from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.entry import Status
from auditmw.reading import FIRST_HTTP_ERROR
from auditmw.wire import wire_json

BEYOND_CAP: Final = "answer_beyond_cap"
"""The name in an entry's metadata that says that the answer was too large to be kept and read."""


class Answer:
    """Passes every message on at once, and ends the call after the last.

    Only a whole answer that middlewares replace (`on_chunk`, and it is JSON in a format that is read, or of no type at
    all) is held until it is complete, or larger than the cap: it then passes as it is, like any that is not JSON.
    """

    def __init__(
        self, call: Call, clock: Clock, send: Send, cap: int, *, on_end: Callable[[Call, Status], Awaitable[None]]
    ) -> None:
        self._call = call
        self._clock = clock
        self._send = send
        self._room = cap
        self._on_end = on_end
        self._streamed = False
        self._hooked = False
        """Whether each chunk passes through the hooks."""
        self._held: list[Message] | None = None
        self.client_left = False

    async def send(self, message: Message) -> None:
        """What the application sends with."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
            return
        if kind != "http.response.body":
            await self._pass(message)
            return
        last = not message.get("more_body", False)
        if last:
            self._call.ended_ns = self._clock.monotonic_ns()
        await self._body(message, last=last)
        if last:
            await self._on_end(self._call, "incomplete" if self._streamed and self._is_read else "success")

    @property
    def _is_read(self) -> bool:
        """Whether its bytes tell how it ended: they were kept, and no call inside has recorded it already."""
        return self._room >= 0 and not self._call.children and self._call.reader is not None

    async def _start(self, message: Message) -> None:
        call = self._call
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        fields = {name: value.decode("latin-1") for name, value in headers}
        call.http_status = message["status"]
        call.content_type = fields.get(b"content-type")
        call.content_encoding = fields.get(b"content-encoding")
        call.provider_request_id = fields.get(b"request-id") or fields.get(b"x-request-id")
        self._streamed = "event-stream" in (call.content_type or "")
        if call.kind == "request" and not is_json(call.content_type or ""):  # a file, sound, results of a batch
            call.reader = None
        plain = call.content_encoding in {None, "identity"}
        if call.chunk_hooks and plain and message["status"] < FIRST_HTTP_ERROR:
            if self._streamed:
                self._hooked = True
                message = {**message, "headers": replace_headers(message["headers"], {b"content-length": None})}
            elif call.reader is not None and is_json(call.content_type or "application/json"):
                self._held = [message]
                return
        await self._pass(message)

    async def _body(self, message: Message, *, last: bool) -> None:
        chunk = bytes(message.get("body", b""))
        if chunk:
            self._keep(chunk)
        if self._held is not None:
            self._held.append(message)
            if last:
                await self._pass_replaced(self._held)
            elif self._room < 0:
                for held in self._held:
                    await self._pass(held)
                self._held = None
            return
        if self._hooked:
            message = {**message, "body": self._through_hooks(chunk, last=last)}
        await self._pass(message)

    def _keep(self, chunk: bytes) -> None:
        call = self._call
        if self._streamed and call.first_chunk_ns is None:
            call.first_chunk_ns = self._clock.monotonic_ns()
        if self._room < 0:
            return
        self._room -= len(chunk)
        if call.reader is None:
            return
        if self._room < 0:
            call.chunks.clear()
            call.metadata[BEYOND_CAP] = True
        else:
            call.chunks.append(chunk)

    def _through_hooks(self, chunk: bytes, *, last: bool) -> bytes:
        run = self._call.run
        passed: bytes = run.pass_on(chunk) if chunk else chunk
        return passed + (run.rest() or b"") if last else passed

    async def _pass_replaced(self, held: list[Message]) -> None:
        """Send a whole answer as the hooks leave it."""
        start, *parts = held
        body = b"".join(part.get("body", b"") for part in parts)
        try:
            answer = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # cut off, a page, or nested too deeply
            pass
        else:
            replaced = self._call.run.pass_on(answer)
            body = body if replaced is answer else wire_json(replaced)
        length = {b"content-length": b"%d" % len(body)}
        await self._pass({**start, "headers": replace_headers(start.get("headers", ()), length)})
        await self._pass({"type": "http.response.body", "body": body, "more_body": False})

    async def _pass(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # how servers of ASGI 2.4 and later say that the client has left
            self.client_left = True
            raise
