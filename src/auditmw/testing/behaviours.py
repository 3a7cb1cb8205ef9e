"""What can be wrong, or slow, with an answer.

Each behaviour rewrites one reply; any function that takes and returns a reply is a behaviour too. An event is one
server-sent event of a stream; an answer that is not streamed is one event.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from auditmw.testing.reply import Reply, Signal, Step

Behaviour: TypeAlias = Callable[[Reply], Reply]

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Rewrite(ABC):
    """A behaviour that leaves status and headers alone."""

    __slots__ = ()

    def __call__(self, reply: Reply) -> Reply:
        """The reply with other steps."""
        return replace(reply, steps=self._steps(reply))

    @abstractmethod
    def _steps(self, reply: Reply) -> Iterable[Step]: ...


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with an HTTP error.

    `retry_after` is in seconds; 0 is sent as one millisecond, because the SDKs ignore 0 and wait half a second.
    """

    code: int
    retry_after: float | None = None
    error_type: str | None = None
    message: str = "The stand-in was told to refuse this request."

    def __call__(self, reply: Reply) -> Reply:
        """The refusal in place of the reply."""
        error_type = self.error_type or _ERROR_TYPES.get(self.code, "api_error")
        headers = {**reply.headers, "content-type": "application/json"}
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
            headers["retry-after-ms"] = str(max(1, round(self.retry_after * 1000)))
        body = reply.errors.body(error_type, self.message, reply.request_id)
        return replace(reply, status=self.code, headers=headers, steps=[body])


@dataclass(frozen=True, slots=True)
class SlowFirstToken(_Rewrite):
    """Send nothing, not even the status, for so many seconds."""

    seconds: float

    def _steps(self, reply: Reply) -> Iterable[Step]:
        return chain([float(self.seconds)], reply.steps)


@dataclass(frozen=True, slots=True)
class Pace(_Rewrite):
    """Wait so many seconds between any two events."""

    seconds_between_events: float

    def _steps(self, reply: Reply) -> Iterable[Step]:
        for number, step in enumerate(reply.steps):
            if number:
                yield float(self.seconds_between_events)
            yield step


@dataclass(frozen=True, slots=True)
class Truncate(_Rewrite):
    """End the answer, as HTTP sees it properly, after so many events."""

    after_events: int

    def _steps(self, reply: Reply) -> Iterable[Step]:
        return _first(iter(reply.steps), self.after_events)


@dataclass(frozen=True, slots=True)
class MidStreamError(_Rewrite):
    """Send an error event after so many events, and end. An answer that is not streamed is left as it is."""

    error_type: str = "overloaded_error"
    after_events: int = 3
    message: str = "The stand-in was told to fail in the middle of the stream."

    def _steps(self, reply: Reply) -> Iterable[Step]:
        if not reply.streamed:
            return reply.steps
        error = reply.errors.event(self.error_type, self.message, reply.request_id)
        return chain(_first(iter(reply.steps), self.after_events), [error])


@dataclass(frozen=True, slots=True)
class Drop(_Rewrite):
    """Close the connection after so many events, without ending the answer; 0: without any answer."""

    after_events: int = 0

    def _steps(self, reply: Reply) -> Iterable[Step]:
        return chain(_first(iter(reply.steps), self.after_events), [Signal.CUT])


@dataclass(frozen=True, slots=True)
class Hang(_Rewrite):
    """Stop after so many events, until `StandInProvider.release` or until the client leaves; 0: before the status."""

    after_events: int = 0

    def _steps(self, reply: Reply) -> Iterable[Step]:
        steps = iter(reply.steps)
        return chain(_first(steps, self.after_events), [Signal.HOLD], steps)


@dataclass(frozen=True, slots=True)
class Gzip:
    """Compress the answer, as the real providers do. In a group of behaviours it comes last."""

    def __call__(self, reply: Reply) -> Reply:
        """The reply, packed event by event."""
        return replace(reply, headers={**reply.headers, "content-encoding": "gzip"}, steps=self._packed(reply.steps))

    @staticmethod
    def _packed(steps: Iterable[Step]) -> Iterator[Step]:
        packer = zlib.compressobj(wbits=31)
        for step in steps:
            yield packer.compress(step) + packer.flush(zlib.Z_SYNC_FLUSH) if isinstance(step, bytes) else step
        yield packer.flush()


def _first(steps: Iterator[Step], events: int) -> Iterator[Step]:
    """The steps up to and including so many events; the iterator is left standing right behind them."""
    while events > 0:
        step = next(steps, None)
        if step is None:
            return
        events -= isinstance(step, bytes)
        yield step
