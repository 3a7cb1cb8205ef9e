from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from auditmw import AuditEntry
from auditmw.entry import to_us
from auditmw.reports.report import Question

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_numbers = count(1)


@pytest.fixture
def make():
    """A maker of entries: successes of alice at noon, each of its own call, unless told otherwise."""

    def make_entry(at=NOON, **fields):
        number = next(_numbers)
        defaults = {
            "request_id": f"entry-{number}",
            "call_id": f"call-{number}",
            "timestamp_us": to_us(at),
            "user_id": "alice",
            "model": "claude-haiku-4-5",
            "input_tokens": 100,
            "output_tokens": 20,
            "cost_nano": 1_000_000,
            "cost_status": "priced",
            "latency_us": 500_000,
        }
        return AuditEntry(**{**defaults, **fields})

    return make_entry


@pytest.fixture
def asked():
    """A maker of questions about the week that ends an hour after noon."""

    def ask(*by, since=NOON - timedelta(days=7), until=NOON + timedelta(hours=1)):
        return Question(since=since, until=until, by=by)

    return ask
