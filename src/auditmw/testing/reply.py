"""What the stand-in is about to send: a status, headers, and steps, which are data and not yet I/O.

A step is one event (bytes), a pause in seconds (float), or a Signal. Behaviours rewrite the
steps, the server plays them.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import msgspec


class Signal(enum.Enum):
    """A step that is neither an event nor a pause."""

    HOLD = "hold"  # wait until the provider is released or the client leaves
    CUT = "cut"  # close the connection without ending the answer


Step: TypeAlias = bytes | float | Signal


class ErrorFormat(Protocol):
    """How one provider writes an error."""

    def body(self, error_type: str, message: str, request_id: str) -> bytes:
        """The body of an answer with an HTTP error status."""
        ...

    def event(self, error_type: str, message: str, request_id: str) -> bytes:
        """An error in the middle of a stream."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way out. Every step that is bytes is sent on as one chunk."""

    status: int
    headers: Mapping[str, str]
    steps: Iterable[Step]
    errors: ErrorFormat
    request_id: str

    @property
    def streamed(self) -> bool:
        """Whether the steps are server-sent events."""
        return self.headers["content-type"].startswith("text/event-stream")


class WireError(Exception):
    """The provider refuses a request: an HTTP status, the error's type and its message."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type


def encode(value: Any) -> bytes:
    """Compact JSON."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate in a test's own text: only the standard library escapes it
        return json.dumps(value, separators=(",", ":")).encode()


def event(kind: str, data: Mapping[str, Any]) -> bytes:
    """One named server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode(data))
