"""A request's body, read ahead of the application and then given to it as it came."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Final

import msgspec
from anyio import to_thread

from auditmw.asgi.types import Message, Receive

DECODE_IN_THREAD_ABOVE: Final = 256 * 1024
"""Bytes of JSON above which decoding would hold the loop for too long."""


class RequestBody:
    """What was read of a body, at most to the cap, and the way to give it to the application."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: deque[Message] = deque()
        self.whole = False
        """Whether the body ended within the cap."""
        self.client_left = False

    async def read(self, cap: int) -> None:
        """Read until the body ends, the client leaves, or more than `cap` bytes have come."""
        size = 0
        while not (self.whole or self.client_left) and size <= cap:
            message = await self._next()
            self._messages.append(message)
            size += len(message.get("body", b""))
            self.whole = message["type"] == "http.request" and not message.get("more_body", False) and size <= cap

    @property
    def is_empty(self) -> bool:
        """Whether there is no body at all."""
        return self.whole and not any(message.get("body") for message in self._messages)

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_left = True
        return message

    async def json(self) -> Any:
        """The body as JSON data; None if it is not whole or no JSON."""
        if not self.whole:
            return None
        raw = b"".join(message.get("body", b"") for message in self._messages)
        return await to_thread.run_sync(_decoded, raw) if len(raw) > DECODE_IN_THREAD_ABOVE else _decoded(raw)

    def replace(self, body: bytes) -> None:
        """Give the application this body instead."""
        self._messages = deque([{"type": "http.request", "body": body, "more_body": False}])

    async def receive(self) -> Message:
        """What the application receives: what was read ahead, then what the server has."""
        return self._messages.popleft() if self._messages else await self._next()


def _decoded(raw: bytes) -> Any:
    """JSON as an application may read it: the standard library's reader takes more than the standard allows."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
