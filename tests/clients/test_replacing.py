"""`on_chunk` on a client's answers, and answers that cannot be read."""

from __future__ import annotations

import zlib
from typing import Any

import anthropic
import anyio
import httpx2
import pytest

from auditmw import AuditTrail
from auditmw.middleware import default_pipeline

from .conftest import plain_async_client

ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hello"}],
}


def shouting(call):
    def shout(item: Any) -> Any:
        if isinstance(item, bytes):
            return item.replace(b"stand-in", b"STAND-IN")
        return {**item, "content": [{"type": "text", "text": "STAND-IN"}]}

    call.on_chunk(shout)
    yield


def looking(call):
    call.on_chunk(lambda item: call.metadata.setdefault("seen", type(item).__name__) and None)
    yield


async def test_a_whole_answer_is_replaced_for_the_caller_and_still_tells_its_entry(provider, make_client):
    async with AuditTrail("memory://", pipeline=[*default_pipeline(), shouting]) as trail:
        async with plain_async_client(provider) as plain:
            answer = await trail.wrap(plain).messages.create(**ASK)
        with make_client() as sync_plain:
            same = await anyio.to_thread.run_sync(lambda: trail.wrap(sync_plain).messages.create(**ASK))
            raw = await anyio.to_thread.run_sync(
                lambda: trail.wrap(sync_plain).messages.with_raw_response.create(**ASK)
            )
        await trail.flush(10)
        entries = [entry async for entry in trail.query()]
        assert [trail.request_id(each) for each in (answer, same, raw)] == [e.request_id for e in entries]
    assert answer.content[0].text == same.content[0].text == raw.parse().content[0].text == "STAND-IN"
    assert all(e.audit_errors == 0 for e in entries)


def test_each_chunk_of_a_stream_is_replaced_for_the_caller(provider, make_client):
    with (
        AuditTrail("memory://", pipeline=[*default_pipeline(), shouting]) as trail,
        make_client() as plain,
        trail.wrap(plain).messages.stream(**ASK) as stream,
    ):
        text = stream.get_final_text()
    assert "STAND-IN" in text
    assert "stand-in" not in text


def test_an_answer_that_is_only_looked_at_is_the_very_one(provider, make_client):
    with AuditTrail("memory://", pipeline=[*default_pipeline(), looking]) as trail, make_client() as plain:
        assert "stand-in" in trail.wrap(plain).messages.create(**ASK).content[0].text
        trail.sync.flush(10)
        assert [e.metadata for e in trail.sync.query()] == [{"seen": "dict"}]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b"<html>a proxy's page</html>", "incomplete"),
        ({"content-type": "application/json"}, b"\xff\xfe", "incomplete"),
        ({"content-type": "text/event-stream"}, b"event: nonsense\ndata: {\n\n", "incomplete"),
        (
            {"content-type": "text/event-stream", "content-encoding": "gzip"},
            b"no gzip at all",
            "abandoned",
        ),  # the SDK gives up
    ],
    ids=["page", "no text", "no event", "no gzip"],
)
def test_an_answer_that_cannot_be_read_is_an_entry_all_the_same(headers, body, status, trail, stored):
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=iter([body])))
    with (
        anthropic.Anthropic(api_key="test", http_client=httpx2.Client(transport=transport), max_retries=0) as plain,
        trail.wrap(plain).messages.with_streaming_response.create(**ASK) as response,
    ):
        try:
            response.read()
        except httpx2.DecodingError:
            assert "gzip" in str(headers)
    [entry] = stored()
    assert (entry.status, entry.output_tokens, entry.usage_complete) == (status, None, False)


@pytest.mark.parametrize("encoding", ["deflate", "gzip", "identity", "unheard-of"])
def test_whatever_the_answer_is_packed_with_it_is_read(encoding, trail, stored):
    body = b'{"type": "message", "id": "msg_1", "model": "m", "content": [], "usage": {"output_tokens": 9}}'
    packers = {"deflate": zlib.compress, "gzip": lambda raw: zlib.compress(raw, wbits=31)}
    packed = packers.get(encoding, bytes)(body)
    head = {"content-type": "application/json", "content-encoding": encoding}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=head, content=iter([packed])))
    with (
        anthropic.Anthropic(api_key="test", http_client=httpx2.Client(transport=transport)) as plain,
        trail.wrap(plain).messages.with_streaming_response.create(**ASK) as response,
    ):
        response.read()
    [entry] = stored()
    assert (entry.status, entry.output_tokens, entry.audit_errors) == ("success", 9, 0)
