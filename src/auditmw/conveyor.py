"""Brings batches into the store one after the other, each made ready while the one before it is on its way.

The database works on one batch, most of it beside the interpreter, while Python decodes, prices, salts and hashes the
next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from auditmw.delivery import Delivery
from auditmw.diagnostics import report
from auditmw.stores.protocol import Batch

Take = Callable[[], Batch | None]


class Conveyor:
    """Lives on one event loop. `take` gives the next batch, `take_ahead` one that is worth making ready; or None."""

    def __init__(self, delivery: Delivery, take: Take, take_ahead: Take) -> None:
        self._delivery = delivery
        self._take = take
        self._take_ahead = take_ahead
        self._batch: Batch | None = None
        self._following: asyncio.Task[Batch | None] | None = None

    async def move(self) -> Batch | None:
        """Store the next batch and return it; None where nothing waits, or where the delivery gave up on it for now."""
        if self._batch is None and self._following is not None:
            following, self._following = self._following, None
            self._batch = await following
        if self._batch is None:
            self._batch = self._take()
        if self._batch is None:
            return None
        if self._following is None:
            self._following = asyncio.create_task(self._make_ready())
        if not await self._delivery.deliver(self._batch):
            return None
        batch, self._batch = self._batch, None
        return batch

    async def stop(self) -> None:
        """Make nothing ready any more; what was taken and not returned is not stored."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)  # its error comes again when that is taken

    async def _make_ready(self) -> Batch | None:
        batch = self._take_ahead()
        if batch is None:
            return None
        try:
            return await self._delivery.prepare(batch)
        except Exception as error:  # a defect: the batch is taken already, and what was not done ahead is done later
            report("auditmw.not_made_ready", error=repr(error))
            return batch
