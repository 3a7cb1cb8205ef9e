"""Many waits for the disk, few fsyncs."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class GroupSync:
    """Runs `flush` in a thread of its own; all who ask while one flush is under way share the next.

    `flush` makes durable what was appended before it was called and returns the position up to which that is so. The
    thread starts at the first request.
    """

    def __init__(self, flush: Callable[[], int]) -> None:
        self._flush = flush
        self._changed = threading.Condition()
        self._synced = 0
        self._next: Future[None] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def upto(self, position: int) -> Future[None]:
        """Done when everything up to `position` is durable; holds the error when that failed. Cannot be cancelled."""
        with self._changed:
            if position <= self._synced:
                return _running_future(done=True)
            if self._next is None:
                self._next = _running_future(done=False)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="auditmw-journal-sync", daemon=True)
                    self._thread.start()
                self._changed.notify()
            return self._next

    def close(self) -> None:
        """Finish what was asked for and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._next is None:
                    if self._closed:
                        return
                    self._changed.wait()
                group, self._next = self._next, None
            try:
                reached = self._flush()
            except Exception as error:
                group.set_exception(error)
            else:
                self._synced = reached
                group.set_result(None)


def _running_future(*, done: bool) -> Future[None]:
    # Marked as running so that one waiter's cancellation, which asyncio passes on, cannot cancel it for the others.
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    if done:
        future.set_result(None)
    return future
