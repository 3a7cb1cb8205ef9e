"""`auditmw ship`: the writer as a process of its own, which follows the journals of all processes on a host.

Applications with `writer="external"` only append to their journals. The shipper may be killed and started at any time:
it goes on behind what was acknowledged, and the store takes every number once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from auditmw.alarms import Alarms
from auditmw.clock import Clock, SystemClock
from auditmw.conveyor import Conveyor
from auditmw.delivery import Delivery
from auditmw.errors import StoreUnavailable
from auditmw.health import Health
from auditmw.journal import Follower
from auditmw.prices import PriceBook
from auditmw.rolling import Rolling
from auditmw.sealing import decode
from auditmw.signing import Signing
from auditmw.stores.protocol import Batch, Store

BATCH_ENTRIES: Final = 2000
"""Large, since no application waits for this process's interpreter lock."""
IDLE_SECONDS: Final = 0.05
ORPHANS_EVERY_SECONDS: Final = 2.0


class Shipper:
    """Moves what applications journal in a directory into the store, until it is stopped."""

    def __init__(
        self,
        store: Store,
        directory: Path,
        *,
        signing: Callable[[Health], Signing | None] = lambda _: None,
        prices: PriceBook | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.health = Health(journal_dir=str(directory))
        self._store = store
        self._directory = directory
        self._make_signing = signing
        self._stopping = False
        self._prices = prices or PriceBook()
        self._clock = clock or SystemClock()
        self._delivery = Delivery(
            store,
            self._prices,
            self.health,
            clock=self._clock,
            journal_dir=directory,
            give_up=lambda: self._stopping,
        )

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopping = True

    async def run(self, *, once: bool = False, on_progress: Callable[[Health], None] | None = None) -> None:
        """Ship until stopped, or with `once` until nothing new is there.

        Raises:
            JournalError: another shipper follows this directory, or it cannot be read.
            ConfigurationError, SchemaMismatch: the store is not usable as it is; the message says what to do.
        """
        await self._open()
        await asyncio.to_thread(self._prices.load)
        signing = self._make_signing(self.health)
        rollups = self._store.rollups
        rolling = None if rollups is None else Rolling(rollups, self.health, self._clock)
        loop = asyncio.get_running_loop()
        recovered = float("-inf")
        alarms = Alarms()
        try:
            with Follower(self._directory) as follower:
                while not self._stopping:
                    shipped = await self._ship(follower)
                    if loop.time() - recovered >= ORPHANS_EVERY_SECONDS:
                        await self._delivery.recover()
                        recovered = loop.time()
                    if signing is not None:
                        await signing.step()
                    if rolling is not None:
                        await rolling.step()
                    alarms.tell(self.health)
                    if on_progress is not None:
                        on_progress(self.health)
                    if once and not shipped:
                        return
                    if not shipped:
                        await asyncio.sleep(IDLE_SECONDS)
        finally:
            if signing is not None:
                await signing.close()
            if rolling is not None:
                await rolling.close()
            await self._store.close()

    async def _open(self) -> None:
        while not self._stopping:
            try:
                await self._store.open()
            except StoreUnavailable as error:
                await self._delivery.failed(error)
            else:
                self._delivery.succeeded()
                return

    async def _ship(self, follower: Follower) -> bool:
        batches = _batches(follower)

        def following() -> Batch | None:
            return next(batches, None)

        conveyor = Conveyor(self._delivery, take=following, take_ahead=following)
        shipped = False
        try:
            while (batch := await conveyor.move()) is not None:
                follower.acknowledge(bytes.fromhex(batch.writer), batch.last_seq)
                shipped = True
        finally:
            await conveyor.stop()
        return shipped


def _batches(follower: Follower) -> Iterator[Batch]:
    """What is new, cut also where a number is missing: the delivery has an entry in its place say that it is lost."""
    for writer_id, records in follower.read():
        start = 0
        for end, record in enumerate(records, start=1):
            if end - start == BATCH_ENTRIES or end == len(records) or records[end].seq != record.seq + 1:
                part = records[start:end]
                yield Batch(writer_id.hex(), part[0].seq, [decode(one.payload) for one in part])
                start = end
