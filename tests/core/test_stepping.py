"""Awaiting inside another context: values, errors and cancellation pass as if it were awaited plainly."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from auditmw.stepping import in_context, in_thread, unhooked

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="outside")


@pytest.fixture
def context():
    copied = contextvars.copy_context()
    copied.run(VARIABLE.set, "inside")
    return copied


async def test_every_step_runs_inside_and_nothing_leaks(context):
    async def work():
        first = VARIABLE.get()
        await anyio.lowlevel.checkpoint()
        VARIABLE.set("changed")
        await anyio.lowlevel.checkpoint()
        return first, VARIABLE.get()

    assert await in_context(context, work()) == ("inside", "changed")
    assert VARIABLE.get() == "outside"
    assert context[VARIABLE] == "changed"


async def test_an_error_passes(context):
    async def work():
        await anyio.lowlevel.checkpoint()
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        await in_context(context, work())


async def test_a_cancellation_reaches_the_inside_which_may_clean_up(context):
    seen = []

    async def work():
        try:
            await anyio.sleep_forever()
        finally:
            seen.append(VARIABLE.get())

    with anyio.move_on_after(0.01):
        await in_context(context, work())
    assert seen == ["inside"]


async def test_an_inside_that_swallows_what_is_thrown_in_goes_on(context):
    async def work():
        with suppress(ValueError):
            await Asking()
        return VARIABLE.get()

    steps = in_context(context, work()).__await__()
    next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.throw(ValueError())
    assert stop.value.value == "inside"


async def test_closing_closes_the_inside(context):
    seen = []

    async def work():
        try:
            await Asking()
        finally:
            seen.append(VARIABLE.get())

    steps = in_context(context, work()).__await__()
    next(steps)
    steps.close()
    assert seen == ["inside"]


class Asking:
    def __await__(self):
        yield "asked"


async def test_the_loops_hooks_are_left_as_they_were():
    async def generator():
        yield 1

    before = sys.get_asyncgen_hooks()
    made = generator()
    assert await unhooked(made) == 1
    assert sys.get_asyncgen_hooks() == before
    await made.aclose()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_work_for_which_no_thread_is_free_is_done_here_when_its_task_is_cancelled():
    limiter = anyio.to_thread.current_default_thread_limiter()
    tokens, limiter.total_tokens = limiter.total_tokens, 1
    release, done = threading.Event(), []
    try:
        occupied = asyncio.create_task(anyio.to_thread.run_sync(release.wait, 5))
        waiting = asyncio.create_task(in_thread(lambda: done.append(threading.current_thread())))
        await anyio.wait_all_tasks_blocked()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    finally:
        release.set()
        await occupied
        limiter.total_tokens = tokens
    assert done == [threading.current_thread()]


async def test_what_a_thread_raises_is_raised_here():
    def fail():
        raise ValueError("in the thread")

    with pytest.raises(ValueError, match="in the thread"):
        await in_thread(fail)
