"""How much work recording a call adds, counted rather than timed: a change that adds to it has to say so here."""

import sys

import anthropic
import httpx2
import pytest

from auditmw import AuditTrail
from auditmw.middleware import CostCalculator, Hasher, Timer, Writer, default_pipeline

ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "hello " * 40}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 12, "output_tokens": 9},
}
REQUEST = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hello " * 30}]}


def client():
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER, headers={"request-id": "req_1"}))
    http = httpx2.Client(transport=transport)
    return anthropic.Anthropic(api_key="test", max_retries=0, http_client=http)


def function_calls(sdk):
    """Python and C functions called by one call, warm, on the calling thread."""
    for _ in range(20):
        sdk.messages.create(**REQUEST)
    counted = 0

    def count(_frame, event, _argument):
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        for _ in range(10):
            sdk.messages.create(**REQUEST)
    finally:
        sys.setprofile(None)
    return counted / 10


@pytest.mark.parametrize(
    ("pipeline", "most"),
    [
        ([Writer(), Hasher(), CostCalculator(), Timer()], 410),
        (default_pipeline(), 545),
    ],
    ids=["without the sanitizer", "by default"],
)
def test_recording_a_call_adds_no_more_function_calls_than_this(tmp_path, pipeline, most):
    bare = function_calls(client())
    with AuditTrail(f"sqlite:///{tmp_path}/audit.db", pipeline=pipeline) as trail:
        trail.sync.flush()
        added = function_calls(trail.wrap(client())) - bare
    print(f"{added:.0f} function calls added to {bare:.0f}")
    assert 0 < added <= most
