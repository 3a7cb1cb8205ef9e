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
        task = _current_task()
        self._task: weakref.ref[Any] | None = None if task is None else weakref.ref(task)
        self._cancelling = task.cancelling() if isinstance(task, asyncio.Task) else 0

    def is_being_cancelled(self) -> bool:
        """Whether a cancellation is under way; ask first thing when the stream is closed, before any await."""
        error = sys.exception()
        if error is not None and error is not self._handled and _is_cancellation(error):
            return True
        task = None if self._task is None else self._task()
        if isinstance(task, asyncio.Task):
            return task.cancelled() or task.cancelling() > self._cancelling
        # trio closes what was dropped in a task of its own, which is always being cancelled
        return task is not None and task is _current_task() and _trio_scope_is_cancelled()


def _is_cancellation(error: BaseException | None) -> bool:
    if isinstance(error, GeneratorExit):  # a sync generator closed on the way of another exception
        return _is_cancellation(error.__context__)
    if isinstance(error, BaseExceptionGroup):
        return any(_is_cancellation(inner) for inner in error.exceptions)
    return isinstance(error, BaseException) and not isinstance(error, Exception)


def _current_task() -> Any:
    """The running task, asyncio's or trio's; None where there is none."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        trio = sys.modules.get("trio")
    try:
        return None if trio is None else trio.lowlevel.current_task()
    except RuntimeError:
        return None


def _trio_scope_is_cancelled() -> bool:
    return bool(sys.modules["trio"].current_effective_deadline() == float("-inf"))
