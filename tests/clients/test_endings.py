"""Every way in which an attempt can be asked for and can end: one entry each, with its own status and honest usage.

What is abandoned or cancelled is held open by the provider, so that the answer cannot have arrived by itself.
"""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import suppress
from typing import Any

import anthropic
import anyio
import httpx2
import pytest

from auditmw.testing import Answer, Drop, Hang, MidStreamError, StandInProvider, Status, Truncate

ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 4000,
    "messages": [{"role": "user", "content": "hello"}],
}
LONG = Answer(deltas=200)
PLACE = 5
"""How many events the provider sends before it hangs, fails or stops."""

RAISED = (anthropic.APIError, httpx2.RemoteProtocolError, json.JSONDecodeError, KeyboardInterrupt)
"""What the SDK raises for these endings, with or without an audit."""

STREAMED = ("create(stream)", "stream()", "raw response", "streaming response")
WAYS = ("create", *STREAMED)
SCRIPTS: dict[str, Any] = {
    "finished": (),
    "HTTP error": (Status(400),),
    "cancelled before": (Hang(),),
    "cancelled midway": (Hang(PLACE),),
    "break": (Hang(PLACE),),
    "closed early": (Hang(PLACE),),
    "dropped": (Hang(PLACE),),
    "never read": (Hang(PLACE),),
    "truncated": (Truncate(PLACE),),
    "mid-stream error": (MidStreamError(after_events=PLACE),),
    "cut connection": (Drop(PLACE),),
    "Ctrl-C": (Hang(PLACE),),
}
WHOLE_ANSWER: dict[str, Any] = {
    "finished": (),
    "HTTP error": (Status(400),),
    "cancelled before": (Hang(),),
    "cancelled midway": (Hang(1),),
    "truncated": (Truncate(0),),
    "cut connection": (Drop(0),),
}
"""The endings that an answer which is not streamed can have: it is one event."""
DROPPED = ("break", "closed early", "dropped", "never read")
STATUSES = {
    "finished": "success",
    "HTTP error": "error",
    "cancelled before": "cancelled",
    "cancelled midway": "cancelled",
    "break": "abandoned",
    "closed early": "abandoned",
    "dropped": "abandoned",
    "never read": "abandoned",
    "truncated": "incomplete",
    "mid-stream error": "error",
    "cut connection": "error",
    "Ctrl-C": "cancelled",
}
CASES = [
    *((way, ending) for way in STREAMED for ending in SCRIPTS),
    *(("create", ending) for ending in WHOLE_ANSWER),
]


def script(provider: StandInProvider, way: str, ending: str) -> None:
    provider.script((LONG, *(WHOLE_ANSWER if way == "create" else SCRIPTS)[ending]))


async def open_async(client: anthropic.AsyncAnthropic, way: str) -> tuple[Any, Any]:
    """What is iterated, and what a careful caller would close."""
    if way == "create":
        return None, await client.messages.create(**ASK)
    if way == "create(stream)":
        stream = await client.messages.create(**ASK, stream=True)
        return stream, stream
    if way == "stream()":
        stream = await client.messages.stream(**ASK).__aenter__()
        return stream, stream
    if way == "raw response":
        raw = await client.messages.with_raw_response.create(**ASK, stream=True)
        stream = await raw.parse()
        return stream, stream
    response = await client.messages.with_streaming_response.create(**ASK, stream=True).__aenter__()
    return response.iter_lines(), response


def open_sync(client: anthropic.Anthropic, way: str) -> tuple[Any, Any]:
    if way == "create":
        return None, client.messages.create(**ASK)
    if way == "create(stream)":
        stream = client.messages.create(**ASK, stream=True)
        return stream, stream
    if way == "stream()":
        stream = client.messages.stream(**ASK).__enter__()
        return stream, stream
    if way == "raw response":
        stream = client.messages.with_raw_response.create(**ASK, stream=True).parse()
        return stream, stream
    response = client.messages.with_streaming_response.create(**ASK, stream=True).__enter__()
    return response.iter_lines(), response


async def use_async(client: anthropic.AsyncAnthropic, way: str, ending: str, reached: anyio.Event) -> None:
    items, closable = await open_async(client, way)
    if items is None or ending == "never read":
        return
    seen = 0
    if ending in {"break", "dropped"}:
        async for _ in items:
            break
    elif ending == "closed early":
        await anext(aiter(items))
        await closable.close()
    elif ending == "Ctrl-C":
        try:
            async for _ in items:
                raise KeyboardInterrupt
        finally:
            await closable.close()
    else:
        try:
            async for _ in items:
                seen += 1
                if seen == 3:
                    reached.set()
        finally:
            await closable.close()


def use_sync(client: anthropic.Anthropic, way: str, ending: str) -> None:
    items, closable = open_sync(client, way)
    if items is None or ending == "never read":
        return
    if ending in {"break", "dropped"}:
        for _ in items:
            break
    elif ending == "closed early":
        next(iter(items))
        closable.close()
    elif ending == "Ctrl-C":
        try:
            for _ in items:
                raise KeyboardInterrupt
        finally:
            closable.close()
    else:
        try:
            for _ in items:
                pass
        finally:
            closable.close()


def assert_told(entry: Any, way: str, ending: str) -> None:
    assert entry.status == STATUSES[ending]
    assert (entry.kind, entry.model, entry.attempt) == ("llm", "claude-sonnet-5-5", 0)
    if ending == "finished":
        assert entry.usage_complete
        assert entry.output_tokens
        assert entry.cost_status == "priced"
        return
    assert entry.output_tokens is None  # never the placeholder
    if entry.status != "error" or entry.http_status == 200:
        assert not entry.usage_complete
    if entry.http_status == 200 and entry.input_tokens is not None:
        assert entry.usage_complete is False
    if ending == "mid-stream error":
        assert (entry.http_status, entry.error_type) == (200, "overloaded_error")
    if ending == "HTTP error":
        assert (entry.http_status, entry.error_type) == (400, "invalid_request_error")
        assert entry.cost_status == "not_billed"


async def cancel_then(cancel: Any, way: str, ending: str, provider: StandInProvider, reached: anyio.Event) -> None:
    if ending == "cancelled before" or way == "create":
        await anyio.to_thread.run_sync(provider.wait_for_requests, 1)
    else:
        await reached.wait()
    cancel()


CANCELLED = [case for case in CASES if case[1].startswith("cancelled")]
OTHERS = [case for case in CASES if case not in CANCELLED]


@pytest.mark.parametrize(("way", "ending"), CANCELLED)
async def test_a_call_in_a_cancelled_scope_is_one_cancelled_entry(
    way, ending, provider, async_client, stored, note_ending, anyio_backend_name
):
    script(provider, way, ending)
    reached = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_then, group.cancel_scope.cancel, way, ending, provider, reached)
            await use_async(async_client, way, ending, reached)
    [entry] = await anyio.to_thread.run_sync(stored)
    assert_told(entry, way, ending)
    note_ending(anyio_backend_name, way, ending, entry)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("way", "ending"), CANCELLED)
async def test_a_call_of_a_cancelled_task_is_one_cancelled_entry(way, ending, provider, async_client, stored):
    script(provider, way, ending)
    reached = anyio.Event()
    with anyio.fail_after(5):
        task = asyncio.create_task(use_async(async_client, way, ending, reached))
        await cancel_then(task.cancel, way, ending, provider, reached)
        with suppress(asyncio.CancelledError):
            await task
    assert task.cancelled()
    [entry] = await anyio.to_thread.run_sync(stored)
    assert_told(entry, way, ending)


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # trio scolds who drops one
@pytest.mark.parametrize(("way", "ending"), OTHERS)
async def test_an_async_call_is_one_entry_however_it_ends(
    way, ending, provider, async_client, stored, note_ending, anyio_backend_name
):
    script(provider, way, ending)
    with anyio.fail_after(5), suppress(*RAISED):
        await use_async(async_client, way, ending, anyio.Event())
    for _ in range(
        4 if ending in DROPPED else 0
    ):  # a loop closes what was dropped in tasks of their own, one generator inside the other
        gc.collect()
        await anyio.wait_all_tasks_blocked()
    [entry] = await anyio.to_thread.run_sync(stored)
    assert_told(entry, way, ending)
    note_ending(anyio_backend_name, way, ending, entry)


@pytest.mark.parametrize(("way", "ending"), OTHERS)
def test_a_sync_call_is_one_entry_however_it_ends(way, ending, provider, client, stored, note_ending):
    script(provider, way, ending)
    with suppress(*RAISED):
        use_sync(client, way, ending)
    if ending in DROPPED:
        gc.collect()
    [entry] = stored()
    assert_told(entry, way, ending)
    note_ending("sync", way, ending, entry)
