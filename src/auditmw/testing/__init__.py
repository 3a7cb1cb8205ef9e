"""For tests: a provider that is a real HTTP server on loopback, and a clock that can be moved."""

from auditmw.testing.answer import Answer
from auditmw.testing.behaviours import (
    Behaviour,
    Drop,
    Gzip,
    Hang,
    MidStreamError,
    Pace,
    SlowFirstToken,
    Status,
    Truncate,
)
from auditmw.testing.clock import FakeClock
from auditmw.testing.provider import StandInProvider
from auditmw.testing.reply import Reply, Signal, Step
from auditmw.testing.requests import ReceivedRequest

__all__ = [
    "Answer",
    "Behaviour",
    "Drop",
    "FakeClock",
    "Gzip",
    "Hang",
    "MidStreamError",
    "Pace",
    "ReceivedRequest",
    "Reply",
    "Signal",
    "SlowFirstToken",
    "StandInProvider",
    "Status",
    "Step",
    "Truncate",
]
