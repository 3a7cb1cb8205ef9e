"""Every way in which an OpenAI client can ask and an attempt can end: one entry each, with its own status.

What is abandoned or cancelled is held open by the provider, so that the answer cannot have arrived by itself.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

import anyio
import httpx2
import openai
import pytest

from auditmw.testing import Answer, Drop, Hang, MidStreamError, StandInProvider, Status, Truncate

MODEL = "gpt-6.1-sol"
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
CHAT_STREAM: dict[str, Any] = {**CHAT, "stream_options": {"include_usage": True}}
RESPONSES: dict[str, Any] = {"model": MODEL, "input": "hello"}
LONG = Answer(deltas=200)
PLACE = 8
"""How many events the provider sends before it hangs, fails or stops."""

WHOLE = ("chat", "responses")
STREAMED = (
    "chat(stream)",
    "chat.stream()",
    "chat raw",
    "chat streaming",
    "responses(stream)",
    "responses.stream()",
)
ENDINGS: dict[str, tuple[Any, str]] = {
    "finished": ((), "success"),
    "HTTP error": (Status(400), "error"),
    "cancelled before": (Hang(), "cancelled"),
    "cancelled midway": (Hang(PLACE), "cancelled"),
    "break": (Hang(PLACE), "abandoned"),
    "closed early": (Hang(PLACE), "abandoned"),
    "dropped": (Hang(PLACE), "abandoned"),
    "never read": (Hang(PLACE), "abandoned"),
    "truncated": (Truncate(PLACE), "incomplete"),
    "mid-stream error": (MidStreamError(after_events=PLACE), "error"),
    "cut connection": (Drop(PLACE), "error"),
    "timed out": (Hang(PLACE), "error"),
    "interrupted by Ctrl-C": (Hang(PLACE), "cancelled"),
}
OF_WHOLE: dict[str, Any] = {
    "finished": (),
    "HTTP error": Status(400),
    "cancelled before": Hang(),
    "truncated": Truncate(0),
    "cut connection": Drop(0),
    "timed out": Hang(),
}
RAISED = (openai.OpenAIError, httpx2.HTTPError, ValueError, KeyboardInterrupt)
"""What the SDK may raise: of cut streams httpx2's own errors, of an empty answer that it is no JSON."""
CASES = [
    *((way, ending) for way in STREAMED for ending in ENDINGS),
    *((way, ending) for way in WHOLE for ending in OF_WHOLE),
]
CANCELLED = [case for case in CASES if case[1].startswith("cancelled")]
OTHERS = [case for case in CASES if not case[1].startswith("cancelled")]


def script(provider: StandInProvider, way: str, ending: str) -> None:
    behaviour = OF_WHOLE[ending] if way in WHOLE else ENDINGS[ending][0]
    provider.script((LONG, behaviour) if behaviour else LONG)


def timeout(ending: str) -> float:
    return 0.2 if ending == "timed out" else 20.0


async def open_async(client: openai.AsyncOpenAI, way: str) -> tuple[Any, Any]:
    """What is iterated, and what a careful caller would close."""
    if way == "chat":
        return None, await client.chat.completions.create(**CHAT)
    if way == "responses":
        return None, await client.responses.create(**RESPONSES)
    if way == "chat streaming":
        response = await client.chat.completions.with_streaming_response.create(**CHAT_STREAM, stream=True).__aenter__()
        return response.iter_lines(), response
    if way == "chat(stream)":
        stream: Any = await client.chat.completions.create(**CHAT_STREAM, stream=True)
    elif way == "chat raw":
        stream = (await client.chat.completions.with_raw_response.create(**CHAT_STREAM, stream=True)).parse()
    elif way == "chat.stream()":
        stream = await client.chat.completions.stream(**CHAT_STREAM).__aenter__()
    elif way == "responses(stream)":
        stream = await client.responses.create(**RESPONSES, stream=True)
    else:
        stream = await client.responses.stream(**RESPONSES).__aenter__()
    return stream, stream


def open_sync(client: openai.OpenAI, way: str) -> tuple[Any, Any]:
    if way == "chat":
        return None, client.chat.completions.create(**CHAT)
    if way == "responses":
        return None, client.responses.create(**RESPONSES)
    if way == "chat streaming":
        response = client.chat.completions.with_streaming_response.create(**CHAT_STREAM, stream=True).__enter__()
        return response.iter_lines(), response
    if way == "chat(stream)":
        stream: Any = client.chat.completions.create(**CHAT_STREAM, stream=True)
    elif way == "chat raw":
        stream = client.chat.completions.with_raw_response.create(**CHAT_STREAM, stream=True).parse()
    elif way == "chat.stream()":
        stream = client.chat.completions.stream(**CHAT_STREAM).__enter__()
    elif way == "responses(stream)":
        stream = client.responses.create(**RESPONSES, stream=True)
    else:
        stream = client.responses.stream(**RESPONSES).__enter__()
    return stream, stream


async def use_async(client: openai.AsyncOpenAI, way: str, ending: str, reached: anyio.Event) -> None:
    items, closable = await open_async(client, way)
    if items is None or ending == "never read":
        return
    seen = 0
    if ending in {"break", "dropped"}:
        async for _ in items:
            break
        if ending == "break":
            await closable.close()
    elif ending == "closed early":
        await anext(aiter(items))
        await closable.close()
    elif ending == "interrupted by Ctrl-C":
        try:
            async for _ in items:
                raise KeyboardInterrupt
        finally:
            await closable.close()
    else:
        try:
            async for _ in items:
                seen += 1
                if seen == 2:
                    reached.set()
        finally:
            await closable.close()


def use_sync(client: openai.OpenAI, way: str, ending: str) -> None:
    items, closable = open_sync(client, way)
    if items is None or ending == "never read":
        return
    if ending in {"break", "dropped"}:
        for _ in items:
            break
        if ending == "break":
            closable.close()
    elif ending == "closed early":
        next(iter(items))
        closable.close()
    elif ending == "interrupted by Ctrl-C":
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


def assert_told(entry: Any, ending: str) -> None:
    assert entry.status == ENDINGS[ending][1]
    assert (entry.kind, entry.provider, entry.model, entry.attempt) == ("llm", "openai", MODEL, 0)
    if ending == "finished":
        assert entry.usage_complete
        assert entry.output_tokens
        assert entry.cost_status == "priced"
        return
    assert entry.output_tokens is None
    assert not entry.usage_complete
    if ending == "mid-stream error":
        assert (entry.http_status, entry.error_type) == (200, "overloaded_error")
    if ending == "HTTP error":
        assert (entry.http_status, entry.error_type) == (400, "invalid_request_error")
        assert entry.cost_status == "not_billed"
    if ending == "timed out":
        assert entry.error_type == "ReadTimeout"


@pytest.mark.parametrize("native", [False, True], ids=["scope", "task"])
@pytest.mark.parametrize(("way", "ending"), CANCELLED)
async def test_a_cancelled_openai_call_is_one_cancelled_entry(
    way, ending, native, provider, async_gpt, stored, note_ending, anyio_backend_name
):
    if native and anyio_backend_name != "asyncio":
        pytest.skip("a task is cancelled natively under asyncio only")
    script(provider, way, ending)
    reached = anyio.Event()

    async def cancel_then(cancel: Any) -> None:
        if ending == "cancelled before":
            await anyio.to_thread.run_sync(provider.wait_for_requests, 1)
        else:
            await reached.wait()
        cancel()

    with anyio.fail_after(5):
        if native:
            task = asyncio.create_task(use_async(async_gpt, way, ending, reached))
            await cancel_then(task.cancel)
            with suppress(asyncio.CancelledError):
                await task
            assert task.cancelled()
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_then, group.cancel_scope.cancel)
                await use_async(async_gpt, way, ending, reached)
    [entry] = await anyio.to_thread.run_sync(stored)
    assert_told(entry, ending)
    note_ending(anyio_backend_name, way, ending, entry)


@pytest.mark.filterwarnings(  # the SDK leaves its own generators to be collected, which trio complains about
    "ignore:Async generator:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(("way", "ending"), OTHERS)
async def test_an_async_openai_call_is_one_entry_however_it_ends(
    way, ending, provider, async_gpt, stored, note_ending, anyio_backend_name
):
    script(provider, way, ending)
    client = async_gpt.with_options(timeout=timeout(ending))
    with anyio.fail_after(5), suppress(*RAISED):
        await use_async(client, way, ending, anyio.Event())
    with anyio.fail_after(5):
        while not (entries := await anyio.to_thread.run_sync(stored)):
            gc.collect()  # the SDK's generators hold each other: the loop closes one a collection, in a task of its own
    [entry] = entries
    assert_told(entry, ending)
    note_ending(anyio_backend_name, way, ending, entry)


@pytest.mark.parametrize(("way", "ending"), OTHERS)
def test_a_sync_openai_call_is_one_entry_however_it_ends(way, ending, provider, gpt, stored, note_ending):
    script(provider, way, ending)
    client = gpt.with_options(timeout=timeout(ending))
    with suppress(*RAISED):
        use_sync(client, way, ending)
    gc.collect()
    [entry] = stored()
    assert_told(entry, ending)
    note_ending("sync", way, ending, entry)
