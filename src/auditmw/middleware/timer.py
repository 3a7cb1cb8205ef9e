"""How long the provider took: latency and time to the first chunk, on the monotonic clock."""

from __future__ import annotations

from collections.abc import Generator

from auditmw.call import Call
from auditmw.clock import Clock, SystemClock
from auditmw.middleware.protocol import Services


class Timer:
    """Sets `latency_us` and, for streams, `ttft_us`; innermost, so that it measures the provider alone."""

    def __init__(self) -> None:
        self._clock: Clock = SystemClock()

    def bind(self, services: Services) -> Timer:
        """A copy that reads this trail's clock."""
        bound = Timer()
        bound._clock = services.clock
        return bound

    def around(self, call: Call) -> Generator[None, None, None]:
        """Start when the attempt is sent, stop when its answer has ended."""
        started = self._clock.monotonic_ns()

        def restart(_call: Call) -> None:
            nonlocal started
            started = self._clock.monotonic_ns()

        call.before_send(restart)
        yield
        ended = call.ended_ns or self._clock.monotonic_ns()
        call.latency_us = max(0, ended - started) // 1000
        if call.stream and call.first_chunk_ns is not None:
            call.ttft_us = max(0, call.first_chunk_ns - started) // 1000
