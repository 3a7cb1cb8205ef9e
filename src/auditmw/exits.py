"""The end of the interpreter: trails that are still open are drained and closed, and never hang it.

A store's driver may run a thread that is no daemon (aiosqlite does), which keeps the interpreter from reaching its
`atexit` functions. So one thread waits for the main thread to end, and closes what is open.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol

from auditmw.diagnostics import report

EXIT_SECONDS: Final = 10.0
_lock = threading.Lock()
_watched: weakref.WeakSet[Closable] = weakref.WeakSet()
_thread: threading.Thread | None = None


class Closable(Protocol):
    """What is closed when the interpreter ends."""

    def close(self, timeout: float) -> None:
        """Drain and close within so many seconds."""


def watch(trail: Closable) -> None:
    """Close this trail when the interpreter ends, unless it was closed before."""
    global _thread  # noqa: PLW0603  (one thread a process)
    with _lock:
        _watched.add(trail)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_close_at_exit, name="auditmw-exit", daemon=False)
            _thread.start()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  (a thread of the parent may hold it, which the child does not have)
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _close_at_exit() -> None:
    threading.main_thread().join()
    for trail in list(_watched):
        try:
            trail.close(EXIT_SECONDS)
        except Exception as error:  # the others must be closed too
            report("auditmw.not_closed", error=repr(error))


def report_remaining(count: int, lost: int, journal_dir: str | None) -> None:
    """Say how many entries are not stored, and how many of these are in no journal either."""
    meaning, level = "they are stored at the next start", "warning"
    if journal_dir is None:
        meaning = "there is no journal: they are lost"
    elif lost:
        meaning, level = (
            f"{lost} of them could not be journalled either and are lost; the rest is for the next start",
            "error",
        )
    report("auditmw.not_all_stored", level, entries=count, journal_dir=journal_dir, meaning=meaning)
