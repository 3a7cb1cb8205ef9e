import pytest

from auditmw import AuditEntry

EVIL = 'eve\r\nforged,line\x1b[31m\u2028\u202e=HYPERLINK("x")'


@pytest.fixture(scope="session")
def make_entry():
    """A maker of entries with most fields set, the n-th leaf of a trail."""

    def make(number=0, **fields):
        defaults = {
            "request_id": f"r-{number}",
            "timestamp_us": 1_700_000_000_123_456 + number * 1_000_000,
            "call_id": f"c-{number}",
            "action": "ask",
            "logged_at_us": 1_700_000_001_000_000,
            "latency_us": 1_234_567,
            "user_id": "alice",
            "session_id": "s-1",
            "host": "web-1",
            "app": "desk",
            "tenant": "acme",
            "provider": "anthropic",
            "model": "claude-opus-4-7",
            "response_model": "claude-opus-4-7-20260101",
            "tool_names": ["search"],
            "input_tokens": 12,
            "cache_read_tokens": 100,
            "output_tokens": 7,
            "usage_raw": {"input_tokens": 12},
            "cost_nano": 1_234_567,
            "cost_status": "priced",
            "http_status": 200,
            "trace_id": "ab" * 16,
            "span_id": "cd" * 8,
            "metadata": {"team": "x"},
            "stream": True,
            "leaf_index": number,
        }
        return AuditEntry(**{**defaults, **fields})

    return make


@pytest.fixture
def evil(make_entry):
    """An entry whose texts are an attack on whatever shows them."""
    return make_entry(user_id=EVIL, model="=1+1", error_message=EVIL, metadata={EVIL: EVIL}, status="error")
