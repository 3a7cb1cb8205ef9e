"""Middlewares around a call: order, forms, what may be raised where, and what is refused when composing."""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import suppress
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from auditmw import AuditTrail, Blocked, CallBlocked, PipelineError
from auditmw.middleware import CostCalculator, Hasher, Timer, Writer, default_pipeline

from .conftest import entries_of

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="outside")


def noting(log: list[str], name: str):
    def middleware(call):
        log.append(f"{name} first")
        yield
        log.append(f"{name} second")

    return middleware


def noting_async(log: list[str], name: str):
    async def middleware(call):
        log.append(f"{name} first")
        await anyio.lowlevel.checkpoint()
        yield
        await anyio.lowlevel.checkpoint()
        log.append(f"{name} second")

    return middleware


class Both:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def around(self, call):
        self.log.append("plain")
        yield
        self.log.append("plain again")

    async def around_async(self, call):
        self.log.append("async")
        yield
        self.log.append("async again")


# --- order and forms --------------------------------------------------------------------------------------------------


def test_first_halves_run_in_order_and_second_halves_in_reverse(trail_with):
    log: list[str] = []
    with trail_with(noting(log, "outer"), noting(log, "inner")).call():
        log.append("block")
    assert log == ["outer first", "inner first", "block", "inner second", "outer second"]


async def test_plain_and_async_middlewares_nest_in_one_async_pipeline(trail_with):
    log: list[str] = []
    trail = trail_with(noting(log, "a"), noting_async(log, "b"), noting(log, "c"))
    async with trail.call():
        log.append("block")
    assert log == ["a first", "b first", "c first", "block", "c second", "b second", "a second"]


async def test_of_an_object_with_both_forms_the_one_that_fits_is_taken(trail_with):
    log: list[str] = []
    trail = trail_with(Both(log))
    with trail.call():
        pass
    async with trail.call():
        pass
    assert log == ["plain", "plain again", "async", "async again"]


@pytest.mark.parametrize("form", ["callable object", "bound method", "partial"])
def test_whatever_can_be_called_and_yields_is_a_middleware(form, trail_with):
    class Tagger:
        def __call__(self, call):
            call.metadata["tagged"] = True
            yield

        method = __call__

    def with_tag(tag, call):
        call.metadata["tagged"] = tag
        yield

    middleware = {"callable object": Tagger(), "bound method": Tagger().method, "partial": partial(with_tag, True)}[
        form
    ]
    trail = trail_with(middleware)
    with trail.call():
        pass
    assert entries_of(trail)[0].metadata == {"tagged": True}


def test_the_default_pipeline_is_new_each_time_and_begins_with_the_writer():
    first, second = default_pipeline(), default_pipeline()
    assert first is not second
    assert isinstance(first[0], Writer)
    assert {type(m) for m in first} >= {Writer, Hasher, CostCalculator, Timer}


def test_a_list_changed_after_composing_changes_no_pipeline(trail):
    pipeline = default_pipeline()
    with AuditTrail("memory://", pipeline=pipeline) as composed:
        pipeline.append(noting([], "late"))
        assert len(composed.pipeline.layers) == len(pipeline) - 1


# --- what is refused --------------------------------------------------------------------------------------------------


async def only_async(call):
    yield


def no_yield(call):
    return None


async def no_yield_async(call):
    return None


def twice(call):
    call.metadata["a"] = 1
    yield
    if call.status == "error":
        call.metadata["b"] = 2
    yield


async def twice_async(call):
    await anyio.lowlevel.checkpoint()
    yield
    yield


def twice_on_every_way(call):
    if call.user_id:
        yield
    else:
        yield
        call.metadata["x"] = 1
    with suppress(ValueError):
        yield


class AroundIsNoGenerator:
    def around(self, call):
        return None


class TwiceAround:
    def around(self, call):
        try:
            yield
        finally:
            yield


class WrongOnError:
    on_error = "ignore"

    def around(self, call):
        yield


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        ([], "begins with Writer"),
        ([Timer()], "begins with Writer"),
        ([Timer(), Writer()], "begins with Writer"),
        ([Writer(), Writer()], "one Writer"),
        ([Writer], "put an instance"),
        ([Writer(), Timer], "put an instance"),
        (Writer(), "give a list"),
        ([Writer(), no_yield], "yields once"),
        ([Writer(), no_yield_async], "yields once"),
        ([Writer(), AroundIsNoGenerator()], "yields once"),
        ([Writer(), "text"], "yields once"),
        ([Writer(), None], "yields once"),
        ([Writer(), twice], "yields more than once"),
        ([Writer(), twice_async], "yields more than once"),
        ([Writer(), twice_on_every_way], "yields more than once"),
        ([Writer(), TwiceAround()], "yields more than once"),
        ([Writer(), WrongOnError()], "'block' or 'continue'"),
    ],
)
def test_what_is_no_pipeline_is_refused_when_it_is_composed(pipeline, says):
    with pytest.raises(PipelineError, match=says):
        AuditTrail("memory://", pipeline=pipeline)


def early(call):
    if call.user_id is None:
        yield
        return
    yield


def either(call):
    if call.user_id:
        yield
    else:
        yield


def looped(call):
    for _ in range(1):
        yield


def guarded(call):
    try:
        yield
    except ValueError:
        yield
    finally:
        call.metadata["x"] = 1


def raising(call):
    if call.user_id == "nobody":
        yield
        raise ValueError
    yield


def matched(call):
    match call.user_id:
        case None:
            yield
        case _:
            yield


@pytest.mark.parametrize("middleware", [early, either, looped, guarded, raising, matched])
def test_a_middleware_that_yields_once_whichever_way_it_takes_is_accepted(middleware, trail_with):
    trail = trail_with(middleware)
    with trail.call(user_id="alice"):
        pass
    assert entries_of(trail)[0].audit_errors == 0


def test_an_async_middleware_is_refused_around_what_is_sync(trail_with):
    trail = trail_with(only_async)

    async def coroutine():
        return 1

    trail.audited(coroutine)
    with pytest.raises(PipelineError, match=r"only_async is async and .*plain.* is not"):

        @trail.audited
        def plain():
            return 1


def test_an_async_middleware_is_refused_around_a_sync_block(trail_with):
    with pytest.raises(PipelineError, match="only_async is async"), trail_with(only_async).call():
        pass


# --- raising ----------------------------------------------------------------------------------------------------------


def blocking(call):
    raise Blocked("no budget")
    yield


async def test_blocked_prevents_the_call_and_leaves_an_entry(trail_with):
    log: list[str] = []
    trail = trail_with(noting(log, "outer"), blocking, noting(log, "inner"), default=True)
    with pytest.raises(CallBlocked, match="no budget") as error, trail.call(action="x"):
        log.append("block")
    with pytest.raises(CallBlocked, match="no budget"):
        async with trail.call(action="x"):
            log.append("block")
    assert log == ["outer first", "outer second"] * 2
    for entry in await anyio.to_thread.run_sync(entries_of, trail):
        assert (entry.status, entry.error_type, entry.error_message) == ("blocked", "blocked", "no budget")
        assert (entry.cost_status, entry.audit_errors) == ("not_billed", 0)
    assert error.value.reason == "no budget"
    assert error.value.__cause__ is None


async def test_an_async_middleware_can_block_too(trail_with):
    async def refuse(call):
        await anyio.lowlevel.checkpoint()
        raise Blocked("asked elsewhere")
        yield

    trail = trail_with(refuse)
    with pytest.raises(CallBlocked, match="asked elsewhere"):
        async with trail.call():
            pass
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["blocked"]


class Failing:
    def __init__(self, *, on_error: str = "continue", where: str = "first") -> None:
        self.on_error = on_error
        self.where = where

    def around(self, call):
        if self.where == "first":
            raise ValueError("a defect")
        yield
        raise ValueError("a defect")


def test_a_failing_first_half_is_counted_and_the_call_goes_on(trail_with):
    log: list[str] = []
    trail = trail_with(Failing(), noting(log, "inner"))
    with trail.call():
        log.append("block")
    assert log == ["inner first", "block", "inner second"]
    [entry] = entries_of(trail)
    assert (entry.status, entry.audit_errors) == ("success", 1)


def test_a_failing_first_half_blocks_where_its_middleware_says_so(trail_with):
    trail = trail_with(Failing(on_error="block"))
    with pytest.raises(CallBlocked, match="Failing failed"), trail.call():
        pytest.fail("the block ran")
    [entry] = entries_of(trail)
    assert (entry.status, entry.audit_errors) == ("blocked", 1)
    assert "a defect" not in entry.error_message  # it may quote content


@pytest.mark.parametrize("on_error", ["continue", "block"])
async def test_a_failing_second_half_is_counted_and_never_raised(on_error, trail_with):
    trail = trail_with(Failing(on_error=on_error, where="second"))
    with trail.call():
        pass
    async with trail.call():
        pass
    assert [(e.status, e.audit_errors) for e in await anyio.to_thread.run_sync(entries_of, trail)] == [
        ("success", 1),
        ("success", 1),
    ]


async def test_failing_async_halves_are_counted_too(trail_with):
    async def first(call):
        raise ValueError("a defect")
        yield

    async def second(call):
        yield
        raise ValueError("a defect")

    trail = trail_with(first, second)
    async with trail.call():
        pass
    [entry] = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.audit_errors) == ("success", 2)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_what_is_no_error_of_a_half_goes_on_after_all_halves_have_run(kind, trail_with):
    log: list[str] = []

    def interrupted(call):
        yield
        raise kind

    trail = trail_with(noting(log, "outer"), interrupted, noting(log, "inner"))
    with pytest.raises(kind), trail.call():
        pass
    assert log[-2:] == ["inner second", "outer second"]
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["success"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interruption_in_a_first_half_goes_on_and_leaves_an_entry(kind, trail_with):
    def interrupted(call):
        raise kind
        yield

    trail = trail_with(interrupted)
    with pytest.raises(kind), trail.call():
        pass
    assert [e.status for e in entries_of(trail)] == ["cancelled"]


def sometimes_not(call):
    if call.user_id == "alice":
        yield


def sometimes_twice(call):
    for _ in range(2 if call.user_id == "alice" else 1):
        yield


async def sometimes_not_async(call):
    if call.user_id == "alice":
        yield


async def sometimes_twice_async(call):
    for _ in range(2 if call.user_id == "alice" else 1):
        yield


async def test_not_yielding_or_yielding_twice_at_run_time_is_counted(trail_with):
    trail = trail_with(sometimes_not, sometimes_twice)
    both = trail_with(sometimes_not_async, sometimes_twice_async)
    for user in ("alice", "bob"):
        with trail.call(user_id=user):
            pass
        async with trail.call(user_id=user), both.call(user_id=user):
            pass
    assert [e.audit_errors for e in await anyio.to_thread.run_sync(entries_of, trail)] == [1, 1, 1, 1]
    assert [e.audit_errors for e in await anyio.to_thread.run_sync(entries_of, both)] == [1, 1]


def stubborn(call):
    for _ in range(2 if call.user_id else 1):
        try:
            yield
        except GeneratorExit:
            yield


async def stubborn_async(call):
    for _ in range(2 if call.user_id else 1):
        try:
            yield
        except GeneratorExit:
            yield


async def test_what_yields_again_when_it_is_closed_never_reaches_the_caller(trail_with):
    for middleware in (stubborn, stubborn_async):
        trail = trail_with(middleware)
        async with trail.call(user_id="alice"):
            pass
        (entry,) = await anyio.to_thread.run_sync(entries_of, trail)
        assert (entry.status, entry.audit_errors) == ("success", 2)


async def test_what_was_never_sent_has_no_latency(trail_with):
    def refusing(call):
        raise Blocked("no")
        yield

    trail = trail_with(Timer(), refusing)
    with pytest.raises(CallBlocked):
        async with trail.call():
            pass
    (entry,) = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.latency_ms) == ("blocked", None)


# --- context ----------------------------------------------------------------------------------------------------------


async def test_halves_share_one_context_that_nobody_else_sees(trail_with):
    seen = []

    def setting(call):
        token = VARIABLE.set("inside")
        yield
        VARIABLE.reset(token)  # the same context, or this raises

    def reading(call):
        seen.append(VARIABLE.get())
        yield
        seen.append(VARIABLE.get())

    async def reading_async(call):
        seen.append(VARIABLE.get())
        await anyio.lowlevel.checkpoint()
        seen.append(VARIABLE.get())
        yield
        await anyio.lowlevel.checkpoint()
        seen.append(VARIABLE.get())

    trail = trail_with(setting, reading)
    with trail.call():
        seen.append(VARIABLE.get())
    assert seen == ["inside", "outside", "inside"]
    seen.clear()
    mixed = trail_with(setting, reading, reading_async)
    async with mixed.call():
        seen.append(VARIABLE.get())
    assert seen == ["inside", "inside", "inside", "outside", "inside", "inside"]
    assert VARIABLE.get() == "outside"
    for each in (trail, mixed):
        assert [e.audit_errors for e in await anyio.to_thread.run_sync(entries_of, each)] == [0]


def test_halves_see_the_callers_context_variables(trail_with):
    seen = []

    def reading(call):
        seen.append(VARIABLE.get())
        yield

    token = VARIABLE.set("the caller's")
    with trail_with(reading).call():
        pass
    VARIABLE.reset(token)
    assert seen == ["the caller's"]


# --- hooks ------------------------------------------------------------------------------------------------------------


def test_before_send_runs_when_all_first_halves_are_done_and_before_seal_when_all_second_ones_are(trail_with):
    log: list[str] = []

    def hooking(call):
        call.before_send(lambda call: log.append("send"))
        call.before_seal(lambda call: log.append("seal"))
        yield
        log.append("hooking second")

    trail = trail_with(hooking, noting(log, "inner"))
    with trail.call():
        log.append("block")
    assert log == ["inner first", "send", "block", "inner second", "hooking second", "seal"]


def test_before_seal_decides_what_is_stored(trail_with):
    def tidy(call):
        call.before_seal(lambda call: setattr(call, "metadata", {"tidied": True}))
        yield

    trail = trail_with(tidy)
    with trail.call() as call:
        call.metadata["secret"] = "x"
    assert entries_of(trail)[0].metadata == {"tidied": True}


def test_failing_hooks_are_counted_and_harm_nobody(trail_with):
    def fail(*_):
        raise ValueError("a defect")

    def hooking(call):
        call.on_chunk(fail)
        call.before_send(fail)
        call.before_seal(fail)
        yield

    trail = trail_with(hooking)

    @trail.audited
    def answer():
        return 42

    assert answer() == 42
    [entry] = entries_of(trail)
    assert (entry.status, entry.audit_errors) == ("success", 3)


def test_on_chunk_sees_and_replaces_a_whole_answer(trail_with):
    seen = []

    def shouting(call):
        call.on_chunk(seen.append)
        call.on_chunk(str.upper)
        yield

    trail = trail_with(shouting)
    assert trail.audited(lambda: "quiet")() == "QUIET"
    assert seen == ["quiet"]


def test_on_chunk_sees_and_replaces_each_item_of_a_generator(trail_with):
    def shouting(call):
        call.on_chunk(lambda item: item.upper() if item != "keep" else None)
        yield

    trail = trail_with(shouting)

    @trail.audited
    def words():
        yield "one"
        yield "keep"

    assert list(words()) == ["ONE", "keep"]


# --- async second halves that meet trouble ----------------------------------------------------------------------------


async def test_async_second_halves_run_though_their_caller_is_cancelled(trail_with):
    log: list[str] = []
    trail = trail_with(noting_async(log, "a"))
    with anyio.CancelScope() as scope:
        async with trail.call():
            scope.cancel()
            await anyio.sleep(1)
    assert log == ["a first", "a second"]
    [entry] = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.audit_errors) == ("cancelled", 0)


async def test_an_async_second_half_that_never_ends_is_given_up_and_counted(trail_with, monkeypatch):
    monkeypatch.setattr("auditmw.recorder.SECOND_HALF_SECONDS", 0.05)

    async def stuck(call):
        yield
        await anyio.sleep_forever()

    trail = trail_with(stuck)
    with anyio.fail_after(5):
        async with trail.call():
            pass
    [entry] = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.audit_errors) == ("success", 1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancellation_during_a_second_half_goes_on_after_the_rest_has_run(trail_with):
    log: list[str] = []
    reached = asyncio.Event()

    async def waiting(call):
        yield
        reached.set()
        await asyncio.sleep(10)

    trail = trail_with(noting(log, "outer"), waiting)

    async def use():
        async with trail.call():
            pass

    task = asyncio.create_task(use())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["outer first", "outer second"]
    [entry] = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.audit_errors) == ("success", 1)


async def test_a_call_that_is_cancelled_in_a_first_half_is_a_cancelled_entry(trail_with):
    async def slow(call):
        await anyio.sleep_forever()
        yield

    trail = trail_with(slow)
    with anyio.move_on_after(0.01):
        async with trail.call():
            pytest.fail("the block ran")
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["cancelled"]
