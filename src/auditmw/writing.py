"""The writer's work on its event loop, round by round: finish dropped calls, store what waits, answer who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final

from auditmw.alarms import Alarms
from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.conveyor import Conveyor
from auditmw.delivery import LAST_RETRY_SECONDS, Delivery
from auditmw.diagnostics import report
from auditmw.entry import Status
from auditmw.errors import AuditError
from auditmw.flushes import Flushes
from auditmw.intake import Intake
from auditmw.opening import UNUSABLE, Opening
from auditmw.prices import PriceBook
from auditmw.stores.protocol import Batch, Store

BATCH_ENTRIES: Final = 200
"""More in one transaction would hold the interpreter lock for longer than the application's loop may wait."""
BEHIND_ENTRIES: Final = 2_000
LARGE_BATCH_ENTRIES: Final = 1_000
"""In one transaction while so many wait: each costs its turns at locks, of the interpreter and of other processes."""
GATHER_SECONDS: Final = 0.05
IDLE_SECONDS: Final = 0.25
SHIPPED_SECONDS: Final = 0.02
"""How often to look what a shipper has stored, while somebody waits for that."""


class Writing:
    """Runs from `run` until `stop_after`; everything else is called on the same loop.

    Attributes:
        asleep: whether it waits for `news`.
        orphans_wanted: whether the journals of dead processes are to be looked for.
    """

    def __init__(
        self,
        intake: Intake,
        store: Store,
        prices: PriceBook,
        opening: Opening,
        flushes: Flushes,
        *,
        journal_dir: Path | None,
        finish_dropped: Callable[[Call, Status], None],
        external: bool,
        clock: Clock,
    ) -> None:
        self.asleep = False
        self.news = asyncio.Event()
        self.orphans_wanted = journal_dir is not None and not external
        self._intake = intake
        self._opening = opening
        self._flushes = flushes
        self._finish_dropped = finish_dropped
        self._external = external
        self._alarms = Alarms()
        self._hurry = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._deadline: float | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._delivery = Delivery(
            store,
            prices,
            intake.health,
            clock=clock,
            journal_dir=journal_dir,
            give_up=self._out_of_time,
            pause=self._pause,
        )
        self._conveyor = Conveyor(self._delivery, self._take, partial(self._take, whole=True))

    async def run(self) -> None:
        """Work until there is nothing left to do, or no time."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            while not self._must_end():
                try:
                    await self._step()
                except Exception as error:  # a defect: entries wait in the journal rather than the writer ends
                    report("auditmw.writer_failed", error=repr(error))
                    await self._delivery.failed(error)
        except asyncio.CancelledError:
            if not self._out_of_time():
                raise
        finally:
            if self._limit is not None:
                self._limit.cancel()
            try:
                await self._conveyor.stop()
                await self._opening.close()
            finally:
                self._flushes.fail(
                    AuditError("the trail was closed before all was stored; the rest waits in the journal")
                )

    def go_on(self) -> None:
        """Do not sleep and do not wait: somebody waits for the end of it."""
        self.news.set()
        self._hurry.set()

    def stop_after(self, timeout: float) -> None:
        """End when all is stored, and in any case after so many seconds."""
        if self._loop is not None and self._task is not None:
            self._deadline = self._loop.time() + timeout
            self._limit = self._loop.call_at(self._deadline, self._task.cancel)  # whatever the store is doing
            self.go_on()

    def _out_of_time(self) -> bool:
        return self._deadline is not None and self._loop is not None and self._loop.time() >= self._deadline

    def _must_end(self) -> bool:
        if self._deadline is None:
            return False
        done = self._intake.waiting == 0 and self._intake.deferred.empty()
        return done or self._external or self._out_of_time()

    async def _step(self) -> None:
        asked = self._flushes.asked()
        try:
            await self._keep_house()  # streams that were dropped before a flush was asked for belong to it
        finally:
            self._flushes.wait_for(asked, self._intake.last_seq)
        stored, seconds = False, inf
        if self._external:
            self._opening.note_tried()
            self._intake.refresh()
        elif (self._intake.started or self._flushes.any_waiting) and await self._open():
            if self.orphans_wanted:
                self.orphans_wanted = False
                if not await self._delivery.recover():
                    self.orphans_wanted = True
            stored = await self._store_next()
            for one in self._opening.beside:
                seconds = min(seconds, await one.step())
        if not self.orphans_wanted:
            self._flushes.answer(self._intake.stored)
        if not stored:
            await self._sleep(seconds)
        elif self._intake.waiting < BATCH_ENTRIES:
            await self._gather()

    async def _keep_house(self) -> None:
        """What must go on whether or not the store answers."""
        for call, status in self._intake.dropped_calls():
            if call.run.loop is None:
                self._finish_dropped(call, status)
            else:  # its async halves run on the application's loop, for which this one must not wait
                await asyncio.to_thread(self._finish_dropped, call, status)
        self._intake.tend()
        self._alarms.tell(self._intake.snapshot())

    async def _open(self) -> bool:
        if self._opening.is_open:
            return True
        try:
            await self._opening.open()
        except UNUSABLE as error:
            self._flushes.fail(error)
            await self._delivery.failed(error)
            await self._pause(0 if self._deadline else LAST_RETRY_SECONDS)
            return False
        except Exception as error:
            await self._delivery.failed(error)
            self._opening.note_tried()
            return False
        self._delivery.succeeded()
        return True

    async def _store_next(self) -> bool:
        batch = await self._conveyor.move()
        if batch is not None:
            self._intake.acknowledge(batch.last_seq)
        return batch is not None

    def _take(self, *, whole: bool = False) -> Batch | None:
        behind = self._intake.waiting >= BEHIND_ENTRIES
        return self._intake.take(LARGE_BATCH_ENTRIES if behind else BATCH_ENTRIES, whole=whole)

    async def _sleep(self, seconds: float) -> None:
        self.asleep = True  # first: from here on whoever adds an entry wakes it, and what was added before is seen
        waited_for = self._flushes.any_waiting
        busy = self._intake.health.in_flight or waited_for or self._intake.waiting or self._deadline is not None
        if busy:
            seconds = min(seconds, SHIPPED_SECONDS if waited_for and self._external else IDLE_SECONDS)
        try:
            async with asyncio.timeout(None if seconds == inf else seconds):
                await self.news.wait()
        except TimeoutError:
            return
        finally:
            self.asleep = False
            self.news.clear()
        await self._gather()

    async def _gather(self) -> None:
        """Let a batch gather, unless somebody waits for what is there: many small commits cost ten times as much."""
        if not (self._flushes.any or self._intake.awaited or self._deadline is not None):
            await asyncio.sleep(GATHER_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Wait before the store is tried again; a flush or the end has it tried at once."""
        await self._keep_house()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()
