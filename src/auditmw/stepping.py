"""Awaiting something inside a context that is not the task's own."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
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
