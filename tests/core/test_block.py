"""`trail.call(...)`: the pipeline around any block."""

from __future__ import annotations

import gc

import anyio
import anyio.lowlevel
import pytest

from auditmw import AuditTrail
from auditmw.errors import TrailClosed
from auditmw.providers import READERS
from auditmw.testing import MemoryTrail

from .conftest import entries_of

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 12, "output_tokens": 9},
}


async def test_a_block_is_an_llm_entry_read_from_the_answer_it_sets(trail):
    with trail.call(action="by hand", model="claude-sonnet-5-5") as call:
        call.response = MESSAGE
    async with trail.call(action="by hand") as call:
        call.response = MESSAGE
    for entry in await anyio.to_thread.run_sync(entries_of, trail):
        assert (entry.kind, entry.action, entry.model) == ("llm", "by hand", "claude-sonnet-5-5")
        assert (entry.input_tokens, entry.output_tokens, entry.cost_status) == (12, 9, "priced")


@pytest.mark.parametrize("when", ["as it is entered", "inside"])
def test_what_a_block_sent_is_digested_once_its_answer_tells_the_format(when):
    request = {"model": "claude-sonnet-5-5", "system": "Be brief.", "messages": [{"role": "user", "content": "hello"}]}
    with MemoryTrail() as trail:
        with trail.call(reader=READERS["anthropic"], request=request):
            pass
        with trail.call(**({"request": request} if when == "as it is entered" else {})) as call:
            call.request = request
            call.response = MESSAGE
        with trail.call() as call:
            call.response = MESSAGE
        known, told, answer_alone = trail.entries()
    assert known.input_hash == told.input_hash is not None
    assert known.system_prompt_hash == told.system_prompt_hash is not None
    assert told.output_hash == answer_alone.output_hash is not None
    assert known.hash_key_id == told.hash_key_id == answer_alone.hash_key_id is not None
    assert answer_alone.input_hash is None


async def test_an_exception_in_a_block_is_raised_and_recorded(trail):
    with pytest.raises(ValueError, match="sync"), trail.call():
        raise ValueError("sync")

    async def fail():
        async with trail.call() as call:
            call.response = MESSAGE
            raise ValueError("async")

    with pytest.raises(ValueError, match="async"):
        await fail()
    first, second = await anyio.to_thread.run_sync(entries_of, trail)
    assert (first.status, first.error_type, first.error_message) == ("error", "ValueError", "sync")
    assert first.usage_complete is False
    assert (second.status, second.output_tokens) == ("error", 9)


def test_a_block_without_an_answer_is_a_success_without_usage(trail):
    with trail.call():
        pass
    [entry] = entries_of(trail)
    assert (entry.status, entry.usage_complete, entry.cost_status) == ("success", None, "no_usage")


async def test_a_cancelled_block_is_a_cancelled_entry(trail):
    with anyio.move_on_after(0.01):
        async with trail.call():
            await anyio.sleep_forever()
    [entry] = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.usage_complete) == ("cancelled", False)


def test_a_block_around_llm_calls_counts_nothing_twice(trail):
    with trail.call(action="outer"), trail.call(action="inner") as call:
        call.response = MESSAGE
    inner, outer = entries_of(trail)
    assert (inner.kind, inner.input_tokens) == ("llm", 12)
    assert (outer.kind, outer.input_tokens, outer.cost_status) == ("function", None, None)
    assert inner.parent_id == outer.request_id


def test_a_block_may_be_entered_again_and_is_then_another_call(trail):
    block = trail.call(action="x")
    with block:
        pass
    with block:
        pass
    first, second = entries_of(trail)
    assert first.request_id != second.request_id


def test_a_block_that_is_never_entered_is_no_call(trail):
    with trail.context(user_id="alice") as context:
        trail.call(action="x")
    assert context.request_ids == []
    assert entries_of(trail) == []


def test_what_a_block_sets_on_its_call_is_recorded(trail):
    with trail.call() as call:
        call.metadata["tag"] = 1
        call.model = "mine"
        call.user_id = "alice"
    [entry] = entries_of(trail)
    assert (entry.metadata, entry.model, entry.user_id) == ({"tag": 1}, "mine", "alice")


def test_an_error_whose_text_cannot_be_made_is_recorded_all_the_same(trail):
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    with pytest.raises(MuteError), trail.call():
        raise MuteError
    [entry] = entries_of(trail)
    assert (entry.status, entry.error_type, entry.error_message) == ("error", "MuteError", None)


def test_a_long_error_message_is_capped(trail):
    with pytest.raises(ValueError, match="x"), trail.call():
        raise ValueError("x" * 100_000)
    assert len(entries_of(trail)[0].error_message) == 1000


def test_a_closed_trail_takes_no_more_calls(trail):
    trail.close()
    with pytest.raises(TrailClosed), trail.call():
        pytest.fail("the block ran")


def test_closing_a_trail_records_what_is_in_flight_as_interrupted(tmp_path):
    url = f"sqlite:///{tmp_path}/audit.db"
    with AuditTrail(url) as trail:
        block = trail.call(action="open")
        block.__enter__()
    block.__exit__(None, None, None)  # too late: the first end has won
    with AuditTrail(url) as trail:
        assert [(e.action, e.status, e.usage_complete) for e in entries_of(trail)] == [("open", "interrupted", False)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio warns of such a generator by itself
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_block_in_an_async_generator_that_is_dropped_is_an_abandoned_entry(trail, asynchronous):
    async def chunks():
        if asynchronous:
            async with trail.call(action="dropped"):
                yield 1
                yield 2
        else:
            with trail.call(action="dropped"):
                yield 1
                yield 2

    async for _ in chunks():
        break
    gc.collect()
    await anyio.lowlevel.checkpoint()
    await anyio.sleep(0.01)
    (entry,) = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.action, entry.status, trail.health().in_flight) == ("dropped", "abandoned", 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_coroutine_that_is_closed_ends_its_block_though_a_second_half_awaits(trail_with):
    async def waits(call):
        yield
        await anyio.lowlevel.checkpoint()

    trail = trail_with(waits)

    async def ask():
        async with trail.call(action="closed"):
            await anyio.sleep(10)

    running = ask()
    running.send(None)
    running.close()
    (entry,) = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.action, entry.status, entry.audit_errors) == ("closed", "abandoned", 0)
