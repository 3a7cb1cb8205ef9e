"""Ceilings that are overdue, in the health of every process that records: one may forget to sweep, or nobody may."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Final

from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.errors import AuditError
from auditmw.health import Health
from auditmw.privacy.due import overdue
from auditmw.privacy.policy import policy_of
from auditmw.stores.privacy import open_privacy
from auditmw.stores.protocol import Store

OVERDUE: Final = "ceilings of the retention policy are overdue by more than a day: see `auditmw retain --dry-run`"
EVERY_SECONDS: Final = 3600.0
CLOSE_SECONDS: Final = 5.0


class Watch:
    """Looks when the trail is opened, and every hour; lives on the writer's event loop, and never raises there.

    It has a connection of its own while it holds `steady`, which a fork waits for.
    """

    def __init__(self, url: str, store: Store, health: Health, clock: Clock, steady: asyncio.Lock) -> None:
        self._url = url
        self._store = store
        self._health = health
        self._clock = clock
        self._steady = steady
        self._task: asyncio.Task[None] | None = None
        self._due = 0.0

    async def step(self) -> float:
        """Begin to look where it is time; returns the seconds until it wants to be called."""
        now = self._clock.monotonic_ns() / 1e9
        if now >= self._due:
            self._due = now + EVERY_SECONDS
            self._task = asyncio.create_task(self._look())
        return self._due - now

    async def close(self) -> None:
        """Wait, not for long, until the look that goes on is over."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)

    async def _look(self) -> None:
        try:
            if policy_of(await self._store.settings()) is not None:
                async with self._steady:
                    found = await asyncio.to_thread(self._find)
                self._health.warn(OVERDUE, on=found)
        except AuditError as error:  # a writer's role may not read what it has written
            report(
                "auditmw.overdue_unknown", "warning", error=str(error), meaning="look with `auditmw retain --dry-run`"
            )

    def _find(self) -> bool:
        with closing(open_privacy(self._url)) as store:
            return overdue(store, self._clock.now_us())
