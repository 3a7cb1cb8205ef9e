from __future__ import annotations

from datetime import UTC, datetime, timedelta

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until it is told to move; use it where a test needs an exact time.

    It starts at 2026-01-01 00:00 UTC, or at `start`, which must carry a time zone.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now_us = (start - _EPOCH) // _MICROSECOND
        self._monotonic_ns = 0

    def now_us(self) -> int:
        """The time of day: microseconds since 1970-01-01 UTC."""
        return self._now_us

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._monotonic_ns

    def advance(self, by: timedelta | float) -> None:
        """Let time pass, on both clocks: a timedelta or seconds, to the microsecond. Raises ValueError if negative."""
        microseconds = _microseconds(by)
        if microseconds < 0:
            raise ValueError("time passes forwards only: use shift_wall() to set the time of day back")
        self._now_us += microseconds
        self._monotonic_ns += microseconds * 1000

    def shift_wall(self, by: timedelta | float) -> None:
        """Move the time of day alone, as when the machine's clock is set; negative is back."""
        self._now_us += _microseconds(by)


def _microseconds(by: timedelta | float) -> int:
    delta = by if isinstance(by, timedelta) else timedelta(seconds=by)
    return delta // _MICROSECOND
