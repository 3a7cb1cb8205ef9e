"""Steps that are not the task's own: inside another context, without the loop looking after it, in a thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import Future
from contextvars import Context
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


class in_context(Awaitable[T]):  # noqa: N801  (used as a function)
    """Await `awaitable` with every step run inside `context`, on the task that awaits; cancellation passes through."""

    def __init__(self, context: Context, awaitable: Awaitable[T]) -> None:
        self._context = context
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._awaitable.__await__()
        run = self._context.run
        sent: Any = None
        while True:
            try:
                wanted = run(steps.send, sent)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # what a generator returns is untyped
            while True:
                try:
                    sent = yield wanted
                    break
                except GeneratorExit:
                    run(steps.close)
                    raise
                except BaseException as error:
                    try:
                        wanted = run(steps.throw, error)
                    except StopIteration as stop:
                        return stop.value  # type: ignore[no-any-return]  # as above


def unhooked(generator: AsyncGenerator[T, Any]) -> Awaitable[T]:
    """The first step of an async generator that the loop shall not close at its shutdown: whoever steps it does."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)


async def in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a worker thread and return only when it has ended, whatever cancels the task meanwhile.

    A cancellation by asyncio itself knows no shield: it waits here, without the loop, for the thread to end, and goes
    on then. What uses this takes milliseconds.
    """
    done: Future[T] = Future()
    begun = threading.Lock()

    def work() -> None:
        if begun.acquire(blocking=False):
            try:
                done.set_result(function())
            except BaseException as error:  # raised below, where it is awaited
                done.set_exception(error)

    try:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(work)
    except BaseException:
        work()  # if no thread was free for it
        done.exception()
        raise
    return done.result()
