"""Keeps the rollups near the newest entries: beside the writer, after its commits, and never in their way."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final

from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.health import Health
from auditmw.stores.rollups import Rollups

STEP_ENTRIES: Final = 50_000
"""At so many at the latest; in one go, since fewer goes touch each cell less often."""
IDLE_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 5.0
"""Entries are rolled when none came for so long, and while they come, so long after the first."""
RETRY_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 0.1


async def roll(rollups: Rollups, most: int = STEP_ENTRIES) -> int:
    """Bring up to so many entries into the rollups; returns how many there were.

    Raises:
        StoreError: the store cannot be read or written.
    """
    async with rollups.view() as view:
        extent = await view.extent()
        until = min(extent.size, extent.watermark + most)
        if until <= extent.watermark:
            return 0
        cells = await view.changes(extent.watermark, until)
    await rollups.apply(cells, extent, until)
    return until - extent.watermark


class Rolling:
    """Rolls what one process stores; lives on the writer's event loop, and never raises there."""

    def __init__(self, rollups: Rollups, health: Health, clock: Clock) -> None:
        self._rollups = rollups
        self._health = health
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._seen = self._covered = health.written
        self._due = self._latest = self._not_before = 0.0  # what others left is rolled first

    async def step(self) -> float:
        """Begin to roll where it is due; returns the seconds until it wants to be called."""
        now, written = self._clock.monotonic_ns() / 1e9, self._health.written
        if written > self._seen:
            if self._seen == self._covered:
                self._latest = now + LONGEST_SECONDS
            self._seen, self._due = written, max(self._not_before, min(now + IDLE_SECONDS, self._latest))
        if self._task is not None and not self._task.done():
            return max(WAIT_SECONDS, self._due - now)
        if now >= self._due or (written - self._covered >= STEP_ENTRIES and now >= self._not_before):
            self._due, self._covered = inf, written
            self._task = asyncio.create_task(self._catch_up())
        return max(0.0, self._due - now)

    async def close(self) -> None:
        """Roll what is left, for a bounded time: the rest is for the next process."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._task is not None:
                    await self._task
                if self._health.written > self._covered:
                    await self._catch_up()
        except TimeoutError:
            return

    async def _catch_up(self) -> None:
        """Roll all that there is, of other processes too."""
        try:
            rolled = STEP_ENTRIES
            while rolled == STEP_ENTRIES:
                rolled = await roll(self._rollups)
        except Exception as error:  # reports read the entries themselves meanwhile
            report("auditmw.not_rolled", "warning", error=str(error), meaning="reports take longer until it is")
            self._due = self._not_before = self._clock.monotonic_ns() / 1e9 + RETRY_SECONDS
