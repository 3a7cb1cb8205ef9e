from datetime import UTC, datetime
from itertools import count

import pytest

from auditmw import AuditEntry
from auditmw.entry import to_us

MIDNIGHT_US = to_us(datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def make():
    """A maker of successes, each of its own call, unless told otherwise."""
    numbers = count(1)

    def make_entry(**fields):
        number = next(numbers)
        defaults = {"request_id": f"entry-{number}", "call_id": f"call-{number}", "timestamp_us": MIDNIGHT_US}
        defaults |= {"model": "m", "input_tokens": 100, "output_tokens": 20, "cost_nano": 1, "cost_status": "priced"}
        return AuditEntry(**{**defaults, **fields})

    return make_entry
