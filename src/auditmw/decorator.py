"""`@audited`: records calls of a coroutine, an async generator, a plain function or a generator.

A function that returns a provider's answer (an SDK object, or a dict of that shape) yields an `llm` entry read from it;
one that calls wrapped clients inside yields a `function` entry that is their parent. Generators are stepped on the task
that reads them, with `send` and `throw` passed through: no task is made, no chunk waits.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from auditmw.block import Block, Draft, read_returned
from auditmw.call import Call, require_fields
from auditmw.context import Scope
from auditmw.endings import ReaderTask, status_of
from auditmw.entry import Status
from auditmw.errors import ConfigurationError
from auditmw.pipeline import Form
from auditmw.recorder import Recorder
from auditmw.stepping import unhooked

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Source(Protocol):
    """Where a decorated function finds its recorder, at each call: a trail, or what `configure` set."""

    def recorder(self) -> Recorder:
        """The recorder of the next call; one that records nothing where auditing was turned off.

        Raises:
            NotConfigured: there is no trail.
        """

    def require(self, form: Form, what: str) -> None:
        """Refuse at decoration a pipeline that does not fit; without a trail yet, nothing can be said."""


def decorate(function: F, source: Source, action: str | None, fields: dict[str, Any]) -> F:
    """The function, recorded; its type, signature and kind (coroutine, generator, ...) stay.

    Raises:
        ConfigurationError: this is no function.
        PipelineError: a middleware of the trail cannot run around it.
    """
    if isinstance(function, (staticmethod, classmethod)):
        raise ConfigurationError("put @audited below @staticmethod or @classmethod: it must see the function itself")
    if inspect.isclass(function) or not callable(function):
        raise ConfigurationError(f"@audited goes on a function, not on {function!r}: decorate what makes the call")
    name = getattr(function, "__qualname__", type(function).__qualname__).rpartition("<locals>.")[2]
    require_fields(fields, "@audited")
    fields = {"kind": "function", "action": action or name, **fields}

    def draft() -> tuple[Recorder, Call]:
        recorder = source.recorder()
        return recorder, recorder.draft(**fields)

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
    wrapper: Callable[..., Any] = wrap(function, draft)
    return cast("F", functools.wraps(function)(wrapper))


def _plain(function: Callable[P, R], draft: Draft) -> Callable[P, R]:
    def audited(*args: P.args, **kwargs: P.kwargs) -> R:
        with Block(draft) as call:
            return _answered(call, function(*args, **kwargs))

    return audited


def _coroutine(function: Callable[P, Coroutine[Any, Any, R]], draft: Draft) -> Callable[P, Coroutine[Any, Any, R]]:
    async def audited(*args: P.args, **kwargs: P.kwargs) -> R:
        async with Block(draft) as call:
            return _answered(call, await function(*args, **kwargs))

    return audited


def _generator(function: Callable[P, Generator[Any, Any, R]], draft: Draft) -> Callable[P, Generator[Any, Any, R]]:
    def audited(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, R]:
        recorder, call = draft()
        recorder.begin(call)
        scope = Scope(parent=call).bind()
        reader = ReaderTask()
        try:
            outcome = yield from _steps(scope.run(function, *args, **kwargs), scope, call, recorder)
        except GeneratorExit:
            # closed, or collected in any thread and under any lock: the writer's thread does the rest
            recorder.drop(call, _closed(reader))
            raise
        except BaseException as error:
            recorder.end(call, status_of(error), error)
            raise
        _answered(call, outcome)
        read_returned(call)
        recorder.end(call, "success")
        return outcome

    return audited


def _steps(steps: Generator[Any, Any, R], scope: Scope, call: Call, recorder: Recorder) -> Generator[Any, Any, R]:
    step, sent = steps.send, None
    while True:
        try:
            item = scope.run(step, sent)
        except StopIteration as stop:
            return cast("R", stop.value)
        step, sent = steps.send, None
        try:
            sent = yield _passed(call, item, recorder)
        except GeneratorExit:
            scope.run(steps.close)
            raise
        except BaseException as error:  # thrown in: the function sees it first
            step, sent = cast("Any", steps.throw), error


def _async_generator(function: Callable[P, AsyncGenerator[Any, Any]], draft: Draft) -> Callable[..., Any]:
    async def audited(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
        recorder, call = draft()
        await recorder.begin_async(call)
        collected = _Collected(recorder, call)
        scope = Scope(parent=call).bind()
        reader = ReaderTask()
        try:
            steps = scope.run(function, *args, **kwargs)
            step: Callable[[Any], Any] = lambda _: unhooked(steps)  # noqa: E731  (this generator closes that one)
            sent: Any = None
            while True:
                try:
                    item = await scope.within(step(sent))
                except StopAsyncIteration:
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
    call.response = call.run.pass_on(answer) if call.chunk_hooks else answer
    return cast("R", call.response)


def _passed(call: Call, item: Any, recorder: Recorder) -> Any:
    if call.first_chunk_ns is None:
        call.first_chunk_ns = recorder.clock.monotonic_ns()
        call.stream = True
    return call.run.pass_on(item) if call.chunk_hooks else item
