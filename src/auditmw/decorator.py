"""`@audited`: records calls of a coroutine, an async generator, a plain function or a generator.

A function that returns a provider's answer (an SDK object, or a dict of that shape) yields an `llm` entry read from it;
one that calls wrapped clients inside yields a `function` entry that is their parent. Generators are stepped on the task
that reads them, with `send` and `throw` passed through: no task is made, no chunk waits.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from auditmw.arguments import NamedArguments
from auditmw.block import Block, read_returned
from auditmw.call import Call, require_fields
from auditmw.context import Scope
from auditmw.endings import ReaderTask, status_of
from auditmw.entry import Status
from auditmw.errors import ConfigurationError, NotConfigured, PipelineError
from auditmw.pipeline import Form
from auditmw.recorder import Recorder
from auditmw.stepping import unhooked

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
Draft: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Recorder, Call]]
"""Makes the call of a function from its arguments."""
Called: TypeAlias = Callable[[Call, tuple[Any, ...], dict[str, Any]], R]
"""Calls the function with its arguments, those named as the sanitizer has left them."""
_TO_COME = (
    "what it returned is still to run, so that nobody sees how it ends: decorate the function that is async itself"
)


class Source(Protocol):
    """Where a decorated function finds its recorder, at each call: a trail, or what `configure` set."""

    def recorder(self) -> Recorder:
        """The recorder of the next call; one that records nothing where auditing was turned off.

        Raises:
            NotConfigured: there is no trail.
        """

    def require(self, form: Form, what: str) -> None:
        """Refuse at decoration a pipeline that does not fit; without a trail yet, nothing can be said."""


def decorate(
    function: F, source: Source, action: str | None, fields: dict[str, Any], sanitize: Sequence[str] = ()
) -> F:
    """The function, recorded; its type, signature and kind (coroutine, generator, ...) stay.

    Raises:
        ConfigurationError: this is no function, or has no parameter that `sanitize` names.
        PipelineError: a middleware of the trail cannot run around it, or there is none that sanitizes.
    """
    if isinstance(function, (staticmethod, classmethod)):
        raise ConfigurationError("put @audited below @staticmethod or @classmethod: it must see the function itself")
    if inspect.isclass(function) or not callable(function):
        raise ConfigurationError(f"@audited goes on a function, not on {function!r}: decorate what makes the call")
    name = getattr(function, "__qualname__", type(function).__qualname__).rpartition("<locals>.")[2]
    require_fields(fields, "@audited")
    fields = {"kind": "function", "action": action or name, **fields}

    given = NamedArguments(function, sanitize) if sanitize else None

    def draft(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Recorder, Call]:
        recorder = source.recorder()
        if given is None:
            return recorder, recorder.draft(**fields)
        recorder.require_sanitizer(f"{name}()")
        return recorder, recorder.draft(**fields, request=given.of(args, kwargs))

    def called(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if given is not None:
            args, kwargs = given.cleaned(call, args, kwargs)
        return function(*args, **kwargs)

    routine = inspect.isroutine(function) or isinstance(function, functools.partial)
    kind: Any = function if routine else cast("Any", function).__call__
    wrap, form = next(
        (wrap, form)
        for is_kind, wrap, form in (
            (inspect.isasyncgenfunction, _async_generator, "async"),
            (inspect.iscoroutinefunction, _coroutine, "async"),
            (inspect.isgeneratorfunction, _generator, "sync"),
            (callable, _plain, "sync"),
        )
        if is_kind(kind)
    )
    source.require(cast("Form", form), f"{name}()")
    if given is not None:
        with suppress(NotConfigured):  # a trail that is set later is asked at each call
            source.recorder().require_sanitizer(f"{name}()")
    wrapper: Callable[..., Any] = wrap(called, draft)
    return cast("F", functools.wraps(function)(wrapper))


def _plain(called: Called[R], draft: Draft) -> Callable[..., R]:
    def audited(*args: Any, **kwargs: Any) -> R:
        with Block(lambda: draft(args, kwargs)) as call:
            answer = called(call, args, kwargs)
            if call.run is not None and _is_to_come(answer):
                call.status = "incomplete"
                call.run.count(f"@audited on {call.action}", PipelineError(_TO_COME))
                return answer
            return _answered(call, answer)

    return audited


def _is_to_come(answer: object) -> bool:
    return inspect.isawaitable(answer) or inspect.isgenerator(answer) or inspect.isasyncgen(answer)


def _coroutine(called: Called[Coroutine[Any, Any, R]], draft: Draft) -> Callable[..., Coroutine[Any, Any, R]]:
    async def audited(*args: Any, **kwargs: Any) -> R:
        async with Block(lambda: draft(args, kwargs)) as call:
            return _answered(call, await called(call, args, kwargs))

    return audited


def _generator(called: Called[Generator[Any, Any, R]], draft: Draft) -> Callable[..., Generator[Any, Any, R]]:
    def audited(*args: Any, **kwargs: Any) -> Generator[Any, Any, R]:
        recorder, call = draft(args, kwargs)
        recorder.begin(call)
        scope = Scope(parent=call).bind()
        reader = ReaderTask()
        try:
            outcome = yield from _steps(scope.run(called, call, args, kwargs), scope, call, recorder)
        except GeneratorExit:
            # closed, or collected in any thread and under any lock: the writer's thread does the rest
            recorder.drop(call, _closed(reader))
            raise
        except BaseException as error:
            recorder.end(call, status_of(error), error)
            raise
        passed = _answered(call, outcome)
        read_returned(call)
        recorder.end(call, "success")
        return passed

    return audited


def _steps(steps: Generator[Any, Any, R], scope: Scope, call: Call, recorder: Recorder) -> Generator[Any, Any, R]:
    step, sent = steps.send, None
    while True:
        try:
            item = scope.run(step, sent)
        except StopIteration as stop:
            if (held := _held(call)) is not None:
                yield held
            return cast("R", stop.value)
        step, sent = steps.send, None
        try:
            sent = yield _passed(call, item, recorder)
        except GeneratorExit:
            scope.run(steps.close)
            raise
        except BaseException as error:  # thrown in: the function sees it first
            step, sent = cast("Any", steps.throw), error


def _async_generator(called: Called[AsyncGenerator[Any, Any]], draft: Draft) -> Callable[..., Any]:
    async def audited(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        recorder, call = draft(args, kwargs)
        await recorder.begin_async(call)
        collected = _Collected(recorder, call)
        scope = Scope(parent=call).bind()
        reader = ReaderTask()
        try:
            steps = scope.run(called, call, args, kwargs)
            step: Callable[[Any], Any] = lambda _: unhooked(steps)  # noqa: E731  (this generator closes that one)
            sent: Any = None
            while True:
                try:
                    item = await scope.within(step(sent))
                except StopAsyncIteration:
                    if (held := _held(call)) is not None:
                        with suppress(GeneratorExit):  # closed here, it had come to its end before
                            yield held
                    break
                step, sent = steps.asend, None
                try:
                    sent = yield _passed(call, item, recorder)
                except GeneratorExit:
                    closed = _closed(reader)
                    await scope.within(steps.aclose())
                    await recorder.end_async(call, closed)
                    raise
                except BaseException as error:  # thrown in: the function sees it first
                    step, sent = steps.athrow, error
        except BaseException as error:
            await recorder.end_async(call, status_of(error), error)
            raise
        await recorder.end_async(call, "success")
        del collected

    return audited


class _Collected:
    """Notices that a generator was garbage when no loop was left to close it."""

    def __init__(self, recorder: Recorder, call: Call) -> None:
        self._recorder = recorder
        self._call = call

    def __del__(self) -> None:
        self._recorder.drop(self._call)


def _closed(reader: ReaderTask) -> Status:
    return "cancelled" if reader.is_being_cancelled() else "abandoned"


def _answered(call: Call, answer: R) -> R:
    call.response = answer
    if not call.chunk_hooks:
        return answer
    passed = call.run.pass_on(answer)
    held = _held(call)
    return cast("R", passed if held is None else passed + held)


def _held(call: Call) -> Any:
    return call.run.rest() if call.chunk_hooks else None


def _passed(call: Call, item: Any, recorder: Recorder) -> Any:
    if call.first_chunk_ns is None:
        call.first_chunk_ns = recorder.clock.monotonic_ns()
        call.stream = True
    return call.run.pass_on(item) if call.chunk_hooks else item
