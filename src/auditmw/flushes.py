"""Who waits until everything handed over so far is stored."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock


class Flushes:
    """Asked for in any thread; answered in the writer's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked: list[Future[None]] = []
        self._waiting: list[tuple[int, Future[None]]] = []

    def ask(self) -> Future[None]:
        """A future that is done when all is stored."""
        future: Future[None] = Future()
        with self._lock:
            self._asked.append(future)
        return future

    def asked(self) -> list[Future[None]]:
        """Those that were asked for since the last time; each is to be given to `wait_for`."""
        with self._lock:
            asked, self._asked = self._asked, []
        return asked

    def wait_for(self, futures: list[Future[None]], seq: int) -> None:
        """Have these wait until everything up to a number is stored."""
        with self._lock:
            self._waiting += [(seq, future) for future in futures]

    def answer(self, stored: int) -> None:
        """Everything up to this number is stored."""
        with self._lock:
            done = [future for seq, future in self._waiting if seq <= stored]
            self._waiting = [wait for wait in self._waiting if wait[0] > stored]
        for future in done:
            future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Have all of them raise this, also those that were asked for just now."""
        with self._lock:
            failed = [*(future for _, future in self._waiting), *self._asked]
            self._waiting, self._asked = [], []
        for future in failed:
            future.set_exception(error)

    @property
    def any_waiting(self) -> bool:
        """Whether somebody waits whose number is known."""
        return bool(self._waiting)

    @property
    def any(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting or self._asked)
