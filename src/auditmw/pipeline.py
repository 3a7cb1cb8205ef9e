"""Composes middlewares around a call: first halves in order, second halves in reverse, each in one generator.

A plain generator works around sync and async calls, an async generator around async calls only; an object may offer
both as `around` and `around_async`. Composed once, then frozen. All halves of one attempt run in one copied context.

Nothing that a middleware does wrong reaches the caller, unless its `on_error` is "block": it is counted on the entry
and logged. What is no error of a middleware (cancellation, KeyboardInterrupt, SystemExit) goes on untouched, after the
remaining halves have run.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextvars import Context, copy_context
from typing import Any, Final, Literal

from anyio import to_thread

from auditmw.call import Call
from auditmw.diagnostics import report
from auditmw.errors import AuditUnavailable, Blocked, CallBlocked, PipelineError
from auditmw.stepping import in_context

Form = Literal["sync", "async"]
OnError = Literal["block", "continue"]
OFFLOAD_ABOVE: Final = 32 * 1024
"""Characters of a body above which layers that offload run in a worker thread."""
_ONCE: Final = "a middleware yields exactly once: first half, yield, second half"


class Layer:
    """One middleware of a pipeline and the forms that it offers."""

    def __init__(self, middleware: Any) -> None:
        if inspect.isclass(middleware):
            raise PipelineError(f"{middleware.__name__} is a class: put an instance into the pipeline, with ()")
        self.name: str = getattr(middleware, "__name__", type(middleware).__name__)
        self.plain: Callable[[Call], Generator[None, None, None]] | None = getattr(middleware, "around", None)
        self.asynchronous: Callable[[Call], AsyncGenerator[None, None]] | None
        self.asynchronous = getattr(middleware, "around_async", None)
        if self.plain is None and self.asynchronous is None:
            function = middleware if inspect.isroutine(middleware) else getattr(middleware, "__call__", None)  # noqa: B004
            if inspect.isgeneratorfunction(function):
                self.plain = middleware
            elif inspect.isasyncgenfunction(function):
                self.asynchronous = middleware
            else:
                raise PipelineError(
                    f"{self.name} is no middleware: write a generator function that takes the call and yields once, "
                    "or an object with around(call) or around_async(call)"
                )
        self.offloads: bool = getattr(middleware, "offloads", False)
        """Whether an async call with a large body steps this layer in a worker thread."""
        self.on_error: OnError = getattr(middleware, "on_error", "continue")
        if self.on_error not in {"block", "continue"}:
            raise PipelineError(f"{self.name}.on_error is {self.on_error!r}: use 'block' or 'continue'")


class Pipeline:
    """Middlewares in order, first outermost; made once and never changed.

    Raises:
        PipelineError: the first is not Writer(), or one is no middleware.
    """

    def __init__(self, middlewares: Sequence[Any]) -> None:
        if not middlewares or not getattr(middlewares[0], "seals", False):
            raise PipelineError("a pipeline begins with Writer(): put it first, so that it seals what all others did")
        if any(getattr(m, "seals", False) for m in middlewares[1:]):
            raise PipelineError("a pipeline has one Writer(), the first: remove the other")
        self.layers = tuple(Layer(m) for m in middlewares)
        self.has_async = any(layer.plain is None for layer in self.layers) or any(
            layer.asynchronous is not None for layer in self.layers
        )

    def offloads(self, call: Call) -> bool:
        """Whether the answer is so large that a layer will be stepped in a worker thread."""
        return any(layer.offloads for layer in self.layers) and rough_size(call.response) > OFFLOAD_ABOVE

    def require(self, form: Form, what: str) -> None:
        """Refuse, where a call is wrapped or decorated, a middleware that cannot run around it."""
        if form == "async":
            return
        for layer in self.layers:
            if layer.plain is None:
                raise PipelineError(
                    f"the middleware {layer.name} is async and {what} is not: write it as a plain generator "
                    "(those work around both), or give it an around(call) beside around_async(call)"
                )


class Run:
    """The suspended middlewares of one attempt."""

    __slots__ = ("_context", "_stack", "call", "layers", "loop")

    def __init__(self, pipeline: Pipeline, call: Call) -> None:
        self.call = call
        self.layers = pipeline.layers
        self._context: Context = copy_context()
        self._stack: list[tuple[Layer, Any]] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    def first_halves(self) -> None:
        """Run the first halves of a sync call.

        Raises:
            CallBlocked: a middleware prevents the attempt; `call.status` is `blocked`.
        """
        self._context.run(self._first_halves)

    def _first_halves(self) -> None:
        for layer in self.layers:
            if layer.plain is None:  # only for results of batches, which are read in passing: require() refuses it
                self.count(layer.name, PipelineError(f"{layer.name} is async and this call is not: skipped"))
            else:
                self._enter(layer, layer.plain)
        self._run_hooks(self.call.send_hooks)

    def _enter(self, layer: Layer, plain: Callable[[Call], Generator[None, None, None]]) -> None:
        try:
            generator = plain(self.call)
            next(generator)
        except StopIteration:
            self.count(layer.name, PipelineError(f"{layer.name} did not yield: {_ONCE}"))
        except Exception as error:
            self._first_half_failed(layer, error)
        else:
            self._stack.append((layer, generator))

    def _first_half_failed(self, layer: Layer, error: Exception) -> None:
        if isinstance(error, Blocked):
            reason = error.reason
        else:
            self.count(layer.name, error)
            if layer.on_error == "continue":
                return
            reason = f"the middleware {layer.name} failed ({type(error).__name__})"
        self.call.status = "blocked"
        self.call.error_type = self.call.error_type or "blocked"
        self.call.error_message = reason
        raise CallBlocked(reason, self.call.request_id) from None

    async def first_halves_async(self) -> None:
        """Run the first halves of an async call; raises as `first_halves` does."""
        for layer in self.layers:
            if layer.asynchronous is None:
                assert layer.plain is not None  # noqa: S101  (a layer has one form at least)
                if layer.offloads and rough_size(self.call.request) > OFFLOAD_ABOVE:
                    await to_thread.run_sync(self._context.run, self._enter, layer, layer.plain)
                else:
                    self._context.run(self._enter, layer, layer.plain)
                continue
            if self.loop is None:
                self.loop = _running_loop()
            generator = layer.asynchronous(self.call)
            try:
                await in_context(self._context, _first_step(generator))
            except StopAsyncIteration:
                self.count(layer.name, PipelineError(f"{layer.name} did not yield: {_ONCE}"))
            except Exception as error:
                self._first_half_failed(layer, error)
            else:
                self._stack.append((layer, generator))
        if self.call.send_hooks and rough_size(self.call.request) > OFFLOAD_ABOVE:
            await to_thread.run_sync(self._context.run, self._run_hooks, self.call.send_hooks)
        else:
            self._context.run(self._run_hooks, self.call.send_hooks)

    def second_halves(self) -> None:
        """Run all second halves of a sync call, last first."""
        self._context.run(self._second_halves)

    def _second_halves(self) -> None:
        interruption: BaseException | None = None
        while self._stack:
            layer, generator = self._stack.pop()
            try:
                self._leave(layer, generator)
            except BaseException as error:  # goes on when every half has run
                interruption = error
        if interruption is not None:
            raise interruption

    def _leave(self, layer: Layer, generator: Any) -> None:
        if generator.gi_frame is None:  # collected together with its call
            self.count(layer.name, PipelineError("its second half was lost in garbage collection"))
            return
        try:
            next(generator)
        except StopIteration:
            return
        except Exception as error:
            self.count(layer.name, error)
            return
        generator.close()
        self.count(layer.name, PipelineError(f"{layer.name} yielded twice: {_ONCE}"))

    async def second_halves_async(self) -> None:
        """Run all second halves of an async call, last first."""
        interruption: BaseException | None = None
        while self._stack:
            layer, generator = self._stack.pop()
            try:
                if layer.asynchronous is None:
                    if layer.offloads and rough_size(self.call.response) > OFFLOAD_ABOVE:
                        await to_thread.run_sync(self._context.run, self._leave, layer, generator)
                    else:
                        self._context.run(self._leave, layer, generator)
                else:
                    await self._leave_async(layer, generator)
            except BaseException as error:  # goes on when every half has run
                interruption = error
        if interruption is not None:
            raise interruption

    async def _leave_async(self, layer: Layer, generator: Any) -> None:
        try:
            await in_context(self._context, generator.__anext__())
        except StopAsyncIteration:
            return
        except Exception as error:
            self.count(layer.name, error)
            return
        await in_context(self._context, generator.aclose())
        self.count(layer.name, PipelineError(f"{layer.name} yielded twice: {_ONCE}"))

    def second_halves_detached(self) -> None:
        """Run the second halves away from the call's own task: plain ones here, async ones as far as one step goes."""
        while self._stack:
            layer, generator = self._stack.pop()
            if layer.asynchronous is None:
                self._context.run(self._leave, layer, generator)
            else:
                self._step_once(layer, generator)

    def _step_once(self, layer: Layer, generator: Any) -> None:
        coroutine = generator.__anext__()
        try:
            self._context.run(coroutine.send, None)
        except StopAsyncIteration:
            return
        except Exception as error:
            self.count(layer.name, error)
            return
        coroutine.close()
        self.count(layer.name, PipelineError("its async second half waits, and its loop is gone: skipped"))

    def _run_hooks(self, hooks: Sequence[Callable[[Call], object]] | None) -> None:
        for hook in hooks or ():
            try:
                hook(self.call)
            except AuditUnavailable:  # the trail cannot take the entry, and on_failure="refuse" was chosen
                raise
            except Exception as error:
                self.count(getattr(hook, "__qualname__", type(hook).__name__), error)

    def run_seal_hooks(self) -> None:
        """Run what was registered with `before_seal`; errors are counted."""
        self._run_hooks(self.call.seal_hooks)

    def count(self, name: str, error: Exception) -> None:
        """Count what a middleware did wrong on the entry, and say it in the log."""
        self.call.audit_errors += 1
        report("auditmw.middleware_failed", middleware=name, error=f"{type(error).__name__}: {error}")


def rough_size(body: Any) -> int:
    """About how many characters a body holds; stops counting once it is large."""
    size, todo = 0, [body]
    while todo and size <= OFFLOAD_ABOVE:
        value = todo.pop()
        if isinstance(value, (str, bytes)):
            size += len(value)
        elif isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, (list, tuple)):
            todo.extend(value)
    return size


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # trio
        return None


async def _first_step(generator: AsyncGenerator[None, None]) -> None:
    """Start an async generator without the loop's hooks, which would close it at the loop's shutdown, before us."""
    hooks = sys.get_asyncgen_hooks()
    step: Coroutine[Any, Any, None]
    sys.set_asyncgen_hooks(None, None)
    try:
        step = generator.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    await step
