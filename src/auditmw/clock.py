"""Where the time comes from: the wall clock says when, the monotonic clock says how long."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. `auditmw.testing.FakeClock` is one that tests can move."""

    def now_us(self) -> int:
        """The time of day: microseconds since 1970-01-01 UTC. It can jump, backwards too."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment, never going backwards: only differences mean something."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now_us(self) -> int:
        """The time of day, as the protocol says."""
        return time.time_ns() // 1000

    monotonic_ns = staticmethod(time.monotonic_ns)
    """Nanoseconds since some fixed moment, as the protocol says; itself, since it is asked several times a call."""
