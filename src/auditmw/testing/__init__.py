"""For tests: a provider that is a real HTTP server on loopback, a trail in memory, and a clock that can be moved.

`auditmw.testing.fixtures` has them as pytest fixtures.
"""

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
from auditmw.testing.trail import MemoryTrail

__all__ = [
    "Answer",
    "Behaviour",
    "Drop",
    "FakeClock",
    "Gzip",
    "Hang",
    "MemoryTrail",
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
