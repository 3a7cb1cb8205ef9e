"""Streams of Amazon Bedrock, which come in a binary framing, through the real SDK."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import anthropic
import httpx2
import pytest

pytest.importorskip("botocore", reason="the SDK reads Bedrock's streams with botocore")

ASK: dict[str, Any] = {
    "model": "anthropic.claude-sonnet-5-5-v1:0",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hello"}],
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 12, "output_tokens": 1},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]


def frame(event: dict[str, Any]) -> bytes:
    """One event as Bedrock sends it: prelude, headers and payload, each with its checksum."""
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    payload = json.dumps({"bytes": inner}).encode()
    told = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in told.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def bedrock(events: list[dict[str, Any]]) -> anthropic.AnthropicBedrock:
    head = {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "aws-1"}
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers=head, content=(frame(event) for event in events))
    )
    return anthropic.AnthropicBedrock(
        aws_access_key="a",
        aws_secret_key="b",
        aws_region="us-east-1",
        http_client=httpx2.Client(transport=transport),
        max_retries=0,
    )


def test_a_whole_stream_is_read(trail, stored):
    with bedrock(EVENTS) as plain, trail.wrap(plain).messages.stream(**ASK) as stream:
        assert stream.get_final_text() == "hi"
    [entry] = stored()
    assert (entry.status, entry.usage_complete) == ("success", True)
    assert (entry.model, entry.response_model) == (ASK["model"], "claude-sonnet-5-5")
    assert (entry.input_tokens, entry.output_tokens, entry.stop_reason) == (12, 9, "end_turn")
    assert (entry.provider_request_id, entry.response_id) == ("aws-1", "msg_1")
    assert entry.stream is True


def test_a_stream_that_ends_early_is_incomplete(trail, stored):
    with bedrock(EVENTS[:3]) as plain:
        list(trail.wrap(plain).messages.create(**ASK, stream=True))
    [entry] = stored()
    assert (entry.status, entry.usage_complete, entry.output_tokens) == ("incomplete", False, None)
    assert entry.input_tokens == 12
