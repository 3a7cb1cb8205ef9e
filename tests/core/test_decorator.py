"""`@audited` on the four kinds of function: what is recorded, and that nothing changes for who calls them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import inspect
from typing import Any
from unittest.mock import MagicMock

import anthropic
import anyio
import anyio.lowlevel
import pytest

import auditmw
from auditmw import AuditTrail, NotConfigured
from auditmw.errors import ConfigurationError
from auditmw.testing import StandInProvider

from .conftest import entries_of

ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hello"}],
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 12, "output_tokens": 9},
}
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="outside")


@pytest.fixture(autouse=True)
def unconfigured():
    """No trail is set before or after a test."""
    yield
    auditmw.globals.configured.__init__()


# --- the four kinds ---------------------------------------------------------------------------------------------------


async def test_each_kind_of_function_is_one_function_entry(trail):
    @trail.audited
    def plain(text):
        return text.upper()

    @trail.audited
    async def coroutine(text):
        await anyio.lowlevel.checkpoint()
        return text.upper()

    @trail.audited
    def generator(text):
        yield from text
        return "end"

    @trail.audited
    async def async_generator(text):
        for letter in text:
            await anyio.lowlevel.checkpoint()
            yield letter

    assert plain("ab") == "AB"
    assert await coroutine("ab") == "AB"
    assert list(generator("ab")) == ["a", "b"]
    assert [letter async for letter in async_generator("ab")] == ["a", "b"]
    entries = await anyio.to_thread.run_sync(entries_of, trail)
    assert [e.action for e in entries] == ["plain", "coroutine", "generator", "async_generator"]
    assert {(e.kind, e.status, e.attempt, e.audit_errors) for e in entries} == {("function", "success", 0, 0)}
    assert all(e.latency_us is not None for e in entries)
    assert [e.stream for e in entries] == [None, None, True, True]
    assert all(e.ttft_us is not None for e in entries[2:])


def test_a_function_stays_of_its_kind(trail):
    @trail.audited
    def plain(number: int) -> int:
        """Says so."""
        return number

    @trail.audited
    async def coroutine():
        return None

    @trail.audited
    def generator():
        yield

    @trail.audited
    async def async_generator():
        yield

    assert (plain.__name__, plain.__doc__) == ("plain", "Says so.")
    assert inspect.signature(plain) == inspect.signature(plain.__wrapped__)
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert not inspect.iscoroutinefunction(plain)
    assert not inspect.isgeneratorfunction(plain)


async def test_methods_partials_and_callable_objects_are_audited(trail):
    class Service:
        @trail.audited
        def method(self):
            return self

        @classmethod
        @trail.audited
        def class_method(cls):
            return cls

        @staticmethod
        @trail.audited
        async def static(value):
            return value

    class Callable:
        async def __call__(self, value):
            return value

    service = Service()
    assert service.method() is service
    assert Service.class_method() is Service
    assert await Service.static(1) == 1
    assert trail.audited(functools.partial(max, 1), action="max")(2) == 2
    assert await trail.audited(Callable())(3) == 3
    assert [e.action for e in await anyio.to_thread.run_sync(entries_of, trail)] == [
        "Service.method",
        "Service.class_method",
        "Service.static",
        "max",
        "Callable",
    ]


class OwnError(Exception):
    pass


async def test_an_exception_passes_untouched_and_is_the_entrys_error(trail):
    @trail.audited
    def plain():
        raise OwnError("plain")

    @trail.audited
    async def coroutine():
        raise OwnError("coroutine")

    @trail.audited
    def generator():
        yield 1
        raise OwnError("generator")

    @trail.audited
    async def async_generator():
        yield 1
        raise OwnError("async_generator")

    with pytest.raises(OwnError):
        plain()
    with pytest.raises(OwnError):
        await coroutine()
    with pytest.raises(OwnError):
        list(generator())
    with pytest.raises(OwnError):
        [item async for item in async_generator()]
    assert [(e.status, e.error_type, e.error_message) for e in await anyio.to_thread.run_sync(entries_of, trail)] == [
        ("error", "OwnError", name) for name in ("plain", "coroutine", "generator", "async_generator")
    ]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interruption_passes_untouched_and_is_a_cancelled_entry(kind, trail):
    @trail.audited
    def plain():
        raise kind

    with pytest.raises(kind):
        plain()
    assert [e.status for e in entries_of(trail)] == ["cancelled"]


async def test_a_cancelled_coroutine_or_async_generator_is_a_cancelled_entry(trail):
    @trail.audited
    async def coroutine():
        await anyio.sleep_forever()

    @trail.audited
    async def async_generator():
        yield 1
        await anyio.sleep_forever()

    with anyio.move_on_after(0.01):
        await coroutine()
    with anyio.move_on_after(0.01):
        async for _ in async_generator():
            pass
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["cancelled", "cancelled"]


# --- generators, step by step -----------------------------------------------------------------------------------------


def talkative(log):
    sent = None
    while True:
        try:
            sent = yield sent
            if sent == "end":
                return "returned"
        except OwnError:
            sent = "caught"
        finally:
            log.append(sent)


def test_send_throw_and_the_return_value_pass_through_a_generator(trail):
    log: list[Any] = []
    steps = trail.audited(talkative)(log)
    assert next(steps) is None
    assert steps.send("a") == "a"
    assert steps.throw(OwnError) == "caught"
    with pytest.raises(StopIteration) as stop:
        steps.send("end")
    assert stop.value.value == "returned"
    assert [e.status for e in entries_of(trail)] == ["success"]


async def test_asend_and_athrow_pass_through_an_async_generator(trail):
    @trail.audited
    async def talkative():
        sent = None
        while sent != "end":
            try:
                sent = yield sent
            except OwnError:
                sent = "caught"

    steps = talkative()
    assert await anext(steps) is None
    assert await steps.asend("a") == "a"
    assert await steps.athrow(OwnError()) == "caught"
    with pytest.raises(StopAsyncIteration):
        await steps.asend("end")
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["success"]


async def test_what_is_thrown_in_and_not_caught_is_the_error(trail):
    @trail.audited
    def generator():
        yield 1

    @trail.audited
    async def async_generator():
        yield 1

    steps = generator()
    next(steps)
    with pytest.raises(OwnError):
        steps.throw(OwnError)
    async_steps = async_generator()
    await anext(async_steps)
    with pytest.raises(OwnError):
        await async_steps.athrow(OwnError())
    assert [e.error_type for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["OwnError", "OwnError"]


async def test_closing_a_generator_closes_the_function_and_is_an_abandoned_entry(trail):
    closed = []

    @trail.audited
    def generator():
        try:
            yield 1
            yield 2
        finally:
            closed.append("generator")

    @trail.audited
    async def async_generator():
        try:
            yield 1
            yield 2
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append("async_generator")

    steps = generator()
    next(steps)
    steps.close()
    async_steps = async_generator()
    await anext(async_steps)
    await async_steps.aclose()
    assert closed == ["generator", "async_generator"]
    assert {e.action: e.status for e in await anyio.to_thread.run_sync(entries_of, trail)} == {
        "generator": "abandoned",
        "async_generator": "abandoned",
    }


async def test_a_generator_that_was_never_started_is_no_entry(trail):
    @trail.audited
    def generator():
        yield 1

    @trail.audited
    async def async_generator():
        yield 1

    generator().close()
    await async_generator().aclose()
    assert await anyio.to_thread.run_sync(entries_of, trail) == []


def test_a_dropped_generator_is_an_abandoned_entry(trail):
    @trail.audited
    def generator():
        yield 1
        yield 2

    steps = generator()
    next(steps)
    del steps
    gc.collect()
    assert [e.status for e in entries_of(trail)] == ["abandoned"]


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # trio scolds who drops one
async def test_a_dropped_async_generator_is_an_abandoned_entry(trail):
    @trail.audited
    async def async_generator():
        yield 1
        yield 2

    steps = async_generator()
    await anext(steps)
    del steps
    gc.collect()
    await anyio.wait_all_tasks_blocked()
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["abandoned"]


def test_an_async_generator_dropped_without_its_loop_is_an_abandoned_entry(trail):
    @trail.audited
    async def async_generator():
        yield 1
        yield 2

    loop = asyncio.new_event_loop()
    steps = async_generator()
    loop.run_until_complete(anext(steps))
    loop.close()
    del steps
    gc.collect()
    assert [e.status for e in entries_of(trail)] == ["abandoned"]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, OwnError])
def test_a_generator_closed_on_the_way_of_an_interruption_is_cancelled(error, trail):
    @trail.audited
    def generator():
        yield 1
        yield 2

    def use():
        steps = generator()
        try:
            next(steps)
            if error is not None:
                raise error
        finally:
            steps.close()

    if error is None:
        use()
    else:
        with pytest.raises(error):
            use()
    expected = "cancelled" if error is KeyboardInterrupt else "abandoned"
    assert [e.status for e in entries_of(trail)] == [expected]


def test_a_generator_that_will_not_be_closed_is_an_error(trail):
    @trail.audited
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    steps = stubborn()
    next(steps)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        steps.close()
    assert [e.error_type for e in entries_of(trail)] == ["RuntimeError"]


async def test_wrong_arguments_are_an_error_and_leave_nothing_in_flight(trail):
    @trail.audited
    async def async_generator(number):
        yield number

    @trail.audited
    def generator(number):
        yield number

    with pytest.raises(TypeError):
        await anext(async_generator())
    with pytest.raises(TypeError):
        next(generator())
    assert [e.error_type for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["TypeError", "TypeError"]
    assert trail.health().in_flight == 0


# --- tasks and context variables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_chunk_is_made_on_the_task_that_reads(trail):
    @trail.audited
    async def tasks():
        for _ in range(3):
            yield asyncio.current_task()
            await asyncio.sleep(0)

    assert {task async for task in tasks()} == {asyncio.current_task()}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_timeout_inside_an_audited_async_generator_fires_on_time(trail):
    @trail.audited
    async def slow():
        try:
            async with asyncio.timeout(0.05):
                yield 1
                await asyncio.sleep(10)
        except TimeoutError:
            yield "timed out"

    started = asyncio.get_running_loop().time()
    assert [item async for item in slow()] == [1, "timed out"]
    assert asyncio.get_running_loop().time() - started < 5
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["success"]


async def test_context_variables_behave_as_without_an_audit(trail):
    def plain():
        VARIABLE.set("plain")

    async def coroutine():
        VARIABLE.set("coroutine")

    def generator():
        VARIABLE.set("generator")
        yield
        yield VARIABLE.get()

    async def async_generator():
        VARIABLE.set("async generator")
        yield
        yield VARIABLE.get()

    for audit in (lambda function: function, trail.audited):
        seen = []
        audit(plain)()
        seen.append(VARIABLE.get())
        await audit(coroutine)()
        seen.append(VARIABLE.get())
        seen.extend(audit(generator)())
        seen.append(VARIABLE.get())
        seen.extend([item async for item in audit(async_generator)()])
        seen.append(VARIABLE.get())
        assert seen == [
            "plain",
            "coroutine",
            None,
            "generator",
            "generator",
            None,
            "async generator",
            "async generator",
        ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_loops_shutdown_closes_an_open_async_generator_once(trail):
    complaints = []

    def run():
        @trail.audited
        async def words():
            yield 1
            yield 2

        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
            steps = words()
            await anext(steps)
            return steps

        return asyncio.run(main())

    await anyio.to_thread.run_sync(run)
    assert complaints == []
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["abandoned"]


# --- llm entries and parents ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [MESSAGE, anthropic.types.Message.model_validate(MESSAGE)], ids=["dict", "SDK"])
async def test_a_returned_answer_of_a_provider_makes_an_llm_entry(answer, trail):
    @trail.audited
    def plain():
        return answer

    @trail.audited
    async def coroutine():
        return answer

    @trail.audited
    def generator():
        yield "hi"
        return answer

    assert plain() is answer
    assert await coroutine() is answer
    list(generator())
    for entry in await anyio.to_thread.run_sync(entries_of, trail):
        assert (entry.kind, entry.provider, entry.model) == ("llm", "anthropic", "claude-sonnet-5-5")
        assert (entry.input_tokens, entry.output_tokens, entry.response_id) == (12, 9, "msg_1")
        assert entry.cost_status == "priced"


class Hostile:
    """Whatever is asked of it raises."""

    def __getattr__(self, name):
        raise RuntimeError("hands off")


@pytest.mark.parametrize("make", [Hostile, list, dict, MagicMock, object, lambda: {"type": "message"}])
def test_any_other_answer_is_handed_on_as_it_is(make, trail):
    answer = make()
    assert trail.audited(lambda: answer)() is answer
    assert [e.kind for e in entries_of(trail)] == ["function"]


async def test_a_function_around_wrapped_clients_is_their_parent_and_counts_nothing_twice(trail):
    with StandInProvider() as provider:
        async with anthropic.AsyncAnthropic(api_key="test", base_url=provider.url) as plain:
            client = trail.wrap(plain)

            @trail.audited(action="outer")
            async def outer():
                async with anyio.create_task_group() as group:
                    group.start_soon(inner)
                return await client.messages.create(**ASK)

            @trail.audited(action="inner")
            async def inner():
                return await client.messages.create(**ASK)

            await outer()
    entries = {e.request_id: e for e in await anyio.to_thread.run_sync(entries_of, trail)}
    [outer_entry] = [e for e in entries.values() if e.action == "outer"]
    [inner_entry] = [e for e in entries.values() if e.action == "inner"]
    calls = [e for e in entries.values() if e.kind == "llm"]
    assert (outer_entry.kind, inner_entry.kind, len(calls)) == ("function", "function", 2)
    assert {e.parent_id for e in calls} == {outer_entry.request_id, inner_entry.request_id}
    assert inner_entry.parent_id == outer_entry.request_id
    for function in (outer_entry, inner_entry):
        assert (function.input_tokens, function.cost_usd, function.cost_status) == (None, None, None)


async def test_calls_inside_a_generator_have_it_as_their_parent_at_every_step(trail):
    @trail.audited(action="outer")
    async def outer():
        for _ in range(2):
            async with trail.call(action="inner"):
                pass
            yield

    async for _ in outer():
        async with trail.call(action="between"):
            pass
    entries = await anyio.to_thread.run_sync(entries_of, trail)
    [function] = [e for e in entries if e.kind == "function"]
    assert {(e.action, e.parent_id) for e in entries if e.kind == "llm"} == {
        ("inner", function.request_id),
        ("between", None),
    }


# --- bare, with arguments, configured ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "async generator"])
async def test_a_function_that_says_it_is_a_model_call_counts_those_inside_it_once(kind, fails, trail):
    def ask():
        with trail.call(action="inside") as call:
            call.response = MESSAGE
        if fails:
            raise ValueError("afterwards")

    async def coroutine():
        ask()

    def generator():
        ask()
        yield 1

    async def async_generator():
        ask()
        yield 1

    function = {"plain": ask, "coroutine": coroutine, "generator": generator, "async generator": async_generator}[kind]
    audited = trail.audited(kind="llm", action="outside")(function)
    with contextlib.suppress(ValueError):
        if kind == "plain":
            audited()
        elif kind == "coroutine":
            await audited()
        elif kind == "generator":
            list(audited())
        else:
            async for _ in audited():
                pass
    kinds = {entry.action: entry.kind for entry in await anyio.to_thread.run_sync(entries_of, trail)}
    assert kinds == {"inside": "llm", "outside": "function"}


async def test_a_plain_function_that_returns_what_is_still_to_run_is_no_success(trail, capsys):
    async def ask():
        raise ValueError("the provider failed")

    @trail.audited
    def plain():
        return ask()

    with pytest.raises(ValueError, match="provider failed"):
        await plain()
    (entry,) = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.audit_errors) == ("incomplete", 1)
    assert "decorate the function that is async itself" in capsys.readouterr().err


def test_arguments_of_the_decorator_are_fields_of_the_entry(trail):
    @trail.audited(action="support.answer", user_id="alice", metadata={"team": "x"}, kind="llm")
    def answer():
        return 1

    answer()
    [entry] = entries_of(trail)
    assert (entry.action, entry.user_id, entry.metadata, entry.kind) == (
        "support.answer",
        "alice",
        {"team": "x"},
        "llm",
    )


def test_metadata_given_to_the_decorator_is_shared_by_no_two_calls(trail_with):
    given = {"team": "x"}

    def counting(call):
        call.metadata["calls"] = call.metadata.get("calls", 0) + 1
        yield

    trail = trail_with(counting)
    answer = trail.audited(action="x", metadata=given)(lambda: 1)
    answer()
    answer()
    assert [e.metadata for e in entries_of(trail)] == [{"team": "x", "calls": 1}] * 2
    assert given == {"team": "x"}


def test_audited_without_a_trail_says_so_at_the_first_call():
    @auditmw.audited
    def answer():
        return 1

    with pytest.raises(NotConfigured, match=r"auditmw\.configure"):
        answer()


async def test_audited_without_a_trail_says_so_for_every_kind():
    @auditmw.audited
    async def coroutine():
        return 1

    @auditmw.audited
    def generator():
        yield

    @auditmw.audited
    async def async_generator():
        yield

    with pytest.raises(NotConfigured):
        await coroutine()
    with pytest.raises(NotConfigured):
        next(generator())
    with pytest.raises(NotConfigured):
        await anext(async_generator())


@pytest.mark.parametrize("bare", [True, False])
def test_the_bare_decorator_uses_what_was_configured_later(bare):
    def function():
        return 1

    answer = auditmw.audited(function) if bare else auditmw.audited(action="function")(function)
    trail = auditmw.configure("memory://", durability="memory")
    assert isinstance(trail, AuditTrail)
    with trail:
        assert answer() == 1
        assert [e.action.rpartition(".")[2] for e in entries_of(trail)] == ["function"]


def test_configure_takes_a_trail(trail):
    assert auditmw.configure(trail) is trail
    auditmw.audited(lambda: 1)()
    assert len(entries_of(trail)) == 1


@pytest.mark.parametrize(("given", "options"), [(7, {}), (None, {"durability": "disk"})])
def test_configure_refuses_what_it_would_ignore(given, options):
    with pytest.raises(ConfigurationError, match="URL"):
        auditmw.configure(given, **options)


def test_configure_refuses_options_for_a_trail_that_is_made(trail):
    with pytest.raises(ConfigurationError, match="durability: options go with a URL"):
        auditmw.configure(trail, durability="disk")


async def test_configure_none_turns_auditing_off_and_says_so_once(capsys):
    assert auditmw.configure(None) is None
    assert capsys.readouterr().err.count("auditmw.off") == 1

    @auditmw.audited
    def plain():
        return MESSAGE

    @auditmw.audited
    async def coroutine():
        return 1

    @auditmw.audited
    def generator():
        yield 1
        return 2

    @auditmw.audited
    async def async_generator():
        yield 1

    assert plain() is MESSAGE
    assert await coroutine() == 1
    assert list(generator()) == [1]
    assert [item async for item in async_generator()] == [1]
    steps = generator()
    next(steps)
    steps.close()
    assert capsys.readouterr().err == ""


def test_calls_inside_what_is_not_audited_have_no_parent(trail):
    auditmw.configure(None)

    @auditmw.audited
    def outer():
        with trail.call():
            pass

    outer()
    assert [e.parent_id for e in entries_of(trail)] == [None]


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [int, "text", 7, None, AuditTrail])
def test_what_is_no_function_is_refused(target, trail):
    with pytest.raises(ConfigurationError, match="goes on a function"):
        trail.audited(action="x")(target)


@pytest.mark.parametrize("method", [staticmethod, classmethod])
def test_a_static_or_class_method_is_refused_with_the_right_order(method, trail):
    with pytest.raises(ConfigurationError, match="below @staticmethod"):
        trail.audited(method(lambda: 1))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"user": "alice"}, "knows no user"),
        ({"status": "success", "request_id": "x"}, "knows no request_id"),
        ({"kind": "chat"}, "use one of llm"),
        ({"metadata": ["x"]}, "give a dict"),
    ],
)
def test_a_field_that_no_call_has_is_refused_where_it_is_written(fields, says, trail):
    with pytest.raises(ConfigurationError, match=says):
        trail.audited(**fields)(lambda: 1)
    with pytest.raises(ConfigurationError, match=says):
        trail.call(**fields)
