"""Awaiting something inside a context that is not the task's own, or without the loop looking after it."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextvars import Context
from typing import Any, TypeVar

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
