"""What has been spent in a period, by name: from the store's rollups now and then, and from this process meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol
from weakref import WeakSet

from auditmw.clock import Clock
from auditmw.diagnostics import report as log
from auditmw.entry import to_datetime

FIRST_WAIT_SECONDS: Final = 2.0
"""How long the first calls of a period wait for what the store knows; without it, this process alone is counted."""

Period = Literal["day", "month"]
Owner = Literal["user", "tenant", "model"]


class Spent(NamedTuple):
    """What the store says: nanodollars by name (who spent nothing may be left out), and which entries are in that."""

    nano: dict[str | None, int]
    counted: set[str]


class Trail(Protocol):
    """What is asked of a trail."""

    @property
    def clock(self) -> Clock:
        """The clock that says when a period begins."""

    def flushed(self) -> Future[None]:
        """Done when everything handed over is stored."""

    def spent(self, by: Owner, since: datetime, own: Callable[[], Sequence[str]]) -> Future[Spent]:
        """What was spent by user, tenant or model since then, and which of one's own entries are counted in it."""


def period_start(now: datetime, period: Period) -> datetime:
    """When the day or month in UTC began."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if period == "day" else midnight.replace(day=1)


class Spending:
    """Of one scope and period; used from any thread.

    What the store says is asked for anew when it is older than `refresh` seconds, in the background: a call waits only
    where nothing is known yet of the period, and all of them no longer than FIRST_WAIT_SECONDS after it was first asked
    for. A store that is away costs one wait a period, and its answer counts whenever it comes. What this process has
    spent and the store has not counted comes on top, entry by entry, so that nothing counts twice or not at all,
    whatever is stored while the store is asked. A forked child asks for itself: nobody in it would answer its parent's
    question.
    """

    def __init__(self, trail: Trail, scope: Owner, period: Period, refresh: float) -> None:
        self._trail = trail
        self._scope = scope
        self._period = period
        self._refresh_ns = int(refresh * 1e9)
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._start: datetime | None = None
        self._nano: Counter[str | None] = Counter()
        self._own: dict[str, tuple[str, int]] = {}
        """Of which entries the store has not said that it counts them; in an outage they become many."""
        self._asked_ns = 0
        self._patient_until = 0.0
        self._first: Future[None]
        self._asking: Future[None]
        """What the store was asked first in this period, and last."""

    @property
    def period_name(self) -> str:
        """The period that counts now, for telling things once in it."""
        return str(self._start)

    def known(self) -> Future[None] | None:
        """Ask the store if it is time to; what must be waited for as long as `patience` says.

        None where the store has answered in this period, or has been waited for.
        """
        now_ns, start = self._trail.clock.monotonic_ns(), self._period_start()
        with self._lock:
            if self._start != start:  # a new period: nothing of the last one counts
                self._start, self._nano, self._own, self._asked_ns = start, Counter(), {}, now_ns
                self._patient_until = time.monotonic() + FIRST_WAIT_SECONDS
                self._first = self._asking = self._ask(start)
            elif self._asking.done() and now_ns - self._asked_ns >= self._refresh_ns:
                self._asked_ns = now_ns
                self._asking = self._ask(start)
            return None if self._first.done() or not self.patience() else self._first

    def patience(self) -> float:
        """For how many seconds a call may still wait: of real time, whatever the trail's clock says."""
        return max(0.0, self._patient_until - time.monotonic())

    def nano(self, name: str) -> int:
        """Nanodollars that were spent under a name in this period, as far as is known."""
        with self._lock:
            return self._nano[name]

    def add(self, name: str, nano: int, request_id: str) -> None:
        """Count what this process has spent, before the entry is sealed."""
        with self._lock:
            self._own[request_id] = (name, nano)
            self._nano[name] += nano

    def _period_start(self) -> datetime:
        return period_start(to_datetime(self._trail.clock.now_us()), self._period)

    def _ask(self, start: datetime) -> Future[None]:
        """First all that was handed over is stored, so that what a process left behind that died counts too."""
        done: Future[None] = Future()

        def own() -> list[str]:
            with self._lock:
                return list(self._own)

        def flushed(flush: Future[None]) -> None:
            if (error := flush.exception()) is not None:
                failed(error)
                return
            self._trail.spent(self._scope, start, own).add_done_callback(answered)

        def answered(answer: Future[Spent]) -> None:
            if (error := answer.exception()) is not None:
                failed(error)
                return
            with self._lock:
                if self._start == start:
                    stored, counted = answer.result()
                    self._own = {entry: spent for entry, spent in self._own.items() if entry not in counted}
                    self._nano = Counter(stored)
                    for name, nano in self._own.values():
                        self._nano[name] += nano
            done.set_result(None)

        def failed(error: BaseException) -> None:
            log("auditmw.spending_unknown", "warning", error=str(error), meaning="budgets count this process alone")
            done.set_result(None)

        self._trail.flushed().add_done_callback(flushed)
        return done


_all: Final[WeakSet[Spending]] = WeakSet()


def _begin_all_anew() -> None:
    for spending in list(_all):
        spending._begin_anew()  # noqa: SLF001  (its own module)


os.register_at_fork(after_in_child=_begin_all_anew)
