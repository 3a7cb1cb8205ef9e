"""Runs the halves of one attempt's middlewares: first halves in order, second halves in reverse.

All halves of one attempt run in one copied context. Nothing that a middleware does wrong reaches the caller, unless its
`on_error` is "block": it is counted on the entry and logged. What is no error of a middleware (cancellation,
KeyboardInterrupt, SystemExit) goes on untouched, after the remaining halves have run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final
from weakref import ref

from auditmw.call import Call
from auditmw.diagnostics import report
from auditmw.errors import AuditUnavailable, Blocked, CallBlocked, PipelineError
from auditmw.layers import ONCE, Layer
from auditmw.pipeline import Pipeline
from auditmw.sizes import is_large_body, is_large_metadata
from auditmw.stepping import in_context, in_thread, unhooked

_ENDED: Final = object()


class Run:
    """The suspended middlewares of one attempt."""

    __slots__ = ("_call", "_context", "_large", "_suspended", "layers", "loop", "pipeline")

    def __init__(self, pipeline: Pipeline, call: Call) -> None:
        self._call = ref(call)  # the call holds its run: a strong reference would leave both to the cycle collector
        self.pipeline = pipeline
        self.layers = pipeline.layers
        self._context: Context = copy_context()
        self._suspended: list[Any] = []
        """A generator a layer, in their order; None where there is no second half."""
        self._large: bool | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def call(self) -> Call:
        """The call; it lives as long as anybody can ask, since the recorder holds those in flight."""
        call = self._call()
        assert call is not None  # noqa: S101  (as said)
        return call

    def first_halves(self, call: Call) -> None:
        """Run the first halves in one go: of a sync call, or of an async one that has nothing to wait for.

        Raises:
            CallBlocked: a middleware prevents the attempt; `call.status` is `blocked`.
        """
        self._context.run(self._first_halves, call)

    def _first_halves(self, call: Call) -> None:
        self._enter(self.layers, call)
        self._run_hooks(call.send_hooks, call)

    def _enter(self, layers: Iterable[Layer], call: Call) -> None:
        for layer in layers:
            generator: Any = None
            try:
                if layer.plain is None:  # only for results of batches, which are read in passing: require() refuses it
                    self.count(layer.name, PipelineError(f"{layer.name} is async and this call is not: skipped"))
                else:
                    generator = layer.plain(call)
                    if next(generator, _ENDED) is _ENDED:
                        generator = None
                        self._misused(layer, "did not yield")
            except Exception as error:
                generator = None
                self._first_half_failed(layer, error)
            self._suspended.append(generator)

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

    async def first_halves_async(self, call: Call) -> None:
        """Run the first halves of an async call; raises as `first_halves` does."""
        for layer in self.layers:
            if layer.asynchronous is None:
                if layer.waits or (layer.offloads and self.is_large(call)):
                    await in_thread(partial(self._context.run, self._enter, (layer,), call))
                else:
                    self._context.run(self._enter, (layer,), call)
                continue
            if self.loop is None:
                self.loop = _running_loop()
            generator: Any = layer.asynchronous(call)
            try:
                await in_context(self._context, unhooked(generator))
            except StopAsyncIteration:
                generator = None
                self._misused(layer, "did not yield")
            except Exception as error:
                generator = None
                self._first_half_failed(layer, error)
            self._suspended.append(generator)
        if self.is_large(call):
            await in_thread(partial(self._context.run, self._run_hooks, call.send_hooks, call))
        else:
            self._context.run(self._run_hooks, call.send_hooks, call)

    def second_halves(self) -> None:
        """Run all second halves of a sync call, last first."""
        self._context.run(self._second_halves)

    def _second_halves(self) -> None:
        interruption: BaseException | None = None
        suspended = self._suspended
        while suspended:
            generator = suspended.pop()
            try:
                if generator is not None and next(generator, _ENDED) is not _ENDED:
                    self._yielded_twice(self.layers[len(suspended)], generator)
            except Exception as error:
                self.count(self.layers[len(suspended)].name, error)
            except BaseException as error:  # goes on when every half has run
                self.count(self.layers[len(suspended)].name, error)
                interruption = error
        if interruption is not None:
            raise interruption

    def _leave(self, layer: Layer, generator: Any) -> None:
        try:
            if next(generator, _ENDED) is not _ENDED:
                self._yielded_twice(layer, generator)
        except Exception as error:
            self.count(layer.name, error)

    def _yielded_twice(self, layer: Layer, generator: Any) -> None:
        self._misused(layer, "yielded twice")
        generator.close()

    def _misused(self, layer: Layer, how: str) -> None:
        self.count(layer.name, PipelineError(f"{layer.name} {how}: {ONCE}"))

    def _pop(self) -> tuple[Layer, Any]:
        generator = self._suspended.pop()
        return self.layers[len(self._suspended)], generator

    def is_large(self, call: Call) -> bool:
        """Whether the request is so large that some layer should run in a worker thread; measured once."""
        if self._large is None:
            self._large = self.pipeline.has_offloading and is_large_body(call.request)
        return self._large

    async def second_halves_async(self, *, large: bool = False) -> None:
        """Run all second halves of an async call, last first; those that offload in a thread if the answer is large."""
        interruption: BaseException | None = None
        while self._suspended:
            layer, generator = self._pop()
            if generator is None:
                continue
            try:
                if layer.asynchronous is None:
                    if self._wants_thread(layer, large=large):
                        await in_thread(partial(self._context.run, self._leave, layer, generator))
                    else:
                        self._context.run(self._leave, layer, generator)
                else:
                    await self._leave_async(layer, generator)
            except BaseException as error:  # goes on when every half has run
                if layer.asynchronous is not None:  # a plain one has run to its end
                    self.count(layer.name, error)
                interruption = error
        if interruption is not None:
            raise interruption

    def _wants_thread(self, layer: Layer, *, large: bool) -> bool:
        outermost = not self._suspended  # which runs what was registered for sealing
        slowly = self.cleans_slowly() or (large and bool(self.call.seal_hooks))
        return (layer.offloads and large) or (outermost and slowly)

    async def _leave_async(self, layer: Layer, generator: Any) -> None:
        try:
            await in_context(self._context, generator.__anext__())
            self._misused(layer, "yielded twice")
            await in_context(self._context, generator.aclose())
        except StopAsyncIteration:
            return
        except Exception as error:
            self.count(layer.name, error)

    def second_halves_detached(self) -> None:
        """Run the second halves away from the call's own task: plain ones here, async ones as far as one step goes."""
        while self._suspended:
            layer, generator = self._pop()
            if generator is None:
                continue
            step = self._step_once if hasattr(generator, "__anext__") else self._leave
            try:
                self._run_anyway(step, layer, generator)
            except BaseException as error:  # nobody is here for whom it is meant
                self.count(layer.name, error)

    def _run_anyway(self, step: Callable[[Layer, Any], None], layer: Layer, generator: Any) -> None:
        try:
            self._context.run(step, layer, generator)
        except RuntimeError:  # the call's own thread is inside its context; a step itself raises no such error
            self._context.copy().run(step, layer, generator)

    def _step_once(self, layer: Layer, generator: Any) -> None:
        coroutine = generator.__anext__()
        try:
            coroutine.send(None)
        except StopAsyncIteration:
            return
        except Exception as error:
            self.count(layer.name, error)
            return
        coroutine.close()
        self.count(layer.name, PipelineError("its async second half waits, and its loop is gone: skipped"))

    def _run_hooks(self, hooks: Sequence[Callable[[Call], object]] | None, call: Call) -> None:
        for hook in hooks or ():
            try:
                hook(call)
            except AuditUnavailable:  # the trail cannot take the entry, and on_failure="refuse" was chosen
                raise
            except Exception as error:
                self.count(_name(hook), error)

    def pass_on(self, item: Any) -> Any:
        """A chunk or answer as the caller gets it: every `on_chunk` function has seen it, their errors are counted."""
        for hook in self.call.chunk_hooks or ():
            try:
                replaced = hook(item)
            except Exception as error:
                self.count(_name(hook), error)
            else:
                item = item if replaced is None else replaced
        return item

    def rest(self) -> Any:
        """What `on_chunk` functions have held back, when the last chunk has passed; None if there is nothing."""
        held: Any = None
        for hook in self.call.chunk_hooks or ():
            try:
                if held is not None:
                    passed = hook(held)
                    held = held if passed is None else passed
                more = hook.rest() if hasattr(hook, "rest") else None
            except Exception as error:
                self.count(_name(hook), error)
            else:
                held = more if held is None else held if more is None else held + more
        return held

    def run_seal_hooks(self) -> None:
        """Run what was registered with `before_seal`, and what cleans what is stored; errors are counted."""
        call = self.call
        if call.seal_hooks:
            self._run_hooks(call.seal_hooks, call)
        if self.pipeline.cleaners:
            self._run_hooks(self.pipeline.cleaners, call)

    def cleans_slowly(self) -> bool:
        """Whether cleaning what is stored may take so long that no loop should wait for it."""
        pipeline = self.pipeline
        if not pipeline.cleaners:
            return False
        call = self.call
        if not (call.metadata or call.error_message):
            return False
        return pipeline.waits or is_large_metadata(call.metadata)

    def count(self, name: str, error: BaseException) -> None:
        """Count what a middleware did wrong on the entry, and say it in the log."""
        self.call.audit_errors += 1
        report("auditmw.middleware_failed", middleware=name, error=f"{type(error).__name__}: {error}")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # trio
        return None


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or type(function).__name__
