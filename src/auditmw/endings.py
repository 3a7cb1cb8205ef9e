"""How an attempt ended: what an exception means, and whether a stream was closed by its reader or by a cancellation."""

from __future__ import annotations

import asyncio
import sys
import weakref
from typing import Any

from auditmw.entry import Status
from auditmw.errors import AuditUnavailable, CallBlocked


def status_of(error: BaseException) -> Status:
    """The status that an exception out of an attempt means."""
    if isinstance(error, (CallBlocked, AuditUnavailable)):
        return "blocked"
    return "error" if isinstance(error, Exception) else "cancelled"


class ReaderTask:
    """The task that reads a stream, remembered when reading begins; not kept alive by this."""

    def __init__(self) -> None:
        self._handled = sys.exception()
        try:
            task = asyncio.current_task()
        except RuntimeError:  # trio, or no loop at all
            task = None
        self._task: weakref.ref[asyncio.Task[Any]] | None = None if task is None else weakref.ref(task)
        self._cancelling = 0 if task is None else task.cancelling()

    def is_being_cancelled(self) -> bool:
        """Whether a cancellation is under way; ask first thing when the stream is closed, before any await."""
        error = sys.exception()
        if error is not None and error is not self._handled and _is_cancellation(error):
            return True
        if self._task is not None:
            task = self._task()
            return task is not None and (task.cancelled() or task.cancelling() > self._cancelling)
        return _trio_scope_is_cancelled()


def _is_cancellation(error: BaseException | None) -> bool:
    if isinstance(error, GeneratorExit):  # a sync generator closed on the way of another exception
        return _is_cancellation(error.__context__)
    if isinstance(error, BaseExceptionGroup):
        return any(_is_cancellation(inner) for inner in error.exceptions)
    return isinstance(error, BaseException) and not isinstance(error, Exception)


def _trio_scope_is_cancelled() -> bool:
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        return bool(trio.current_effective_deadline() == float("-inf"))
    except RuntimeError:  # not inside a trio task
        return False
