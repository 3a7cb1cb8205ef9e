"""Brings batches into the store: priced, tried again until they are in, with what the store refuses set aside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import structs

from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry
from auditmw.errors import PoisonEntry, SequenceGap, StoreUnavailable
from auditmw.health import Health
from auditmw.prices import PriceBook
from auditmw.recovery import lost_entries, recovered_batches
from auditmw.sealing import control_entry
from auditmw.stores.protocol import Batch, Store

FIRST_RETRY_SECONDS: Final = 0.05
LAST_RETRY_SECONDS: Final = 1.0
MOST_LOST: Final = 100_000
"""A larger hole in a writer's sequence is not bridged: somebody has to look first."""


class Delivery:
    """One store and the way into it; lives on one event loop."""

    def __init__(
        self,
        store: Store,
        prices: PriceBook,
        health: Health,
        *,
        clock: Clock,
        journal_dir: Path | None,
        give_up: Callable[[], bool],
    ) -> None:
        self._store = store
        self._prices = prices
        self._health = health
        self._clock = clock
        self._journal_dir = journal_dir
        self._give_up = give_up
        self._retry_seconds = FIRST_RETRY_SECONDS

    async def deliver(self, batch: Batch) -> bool:
        """Store a batch, trying again until it is in; False if `give_up` says so before."""
        batch = structs.replace(batch, entries=[self._priced(entry) for entry in batch.entries])
        while True:
            try:
                self._health.written += await self._store.append(batch)
            except PoisonEntry as error:
                batch = self._without(batch, error)
            except SequenceGap as error:
                if batch.first_seq - error.last_seq > MOST_LOST:
                    await self.failed(error)
                else:
                    batch = self._bridged(batch, error.last_seq)
            except StoreUnavailable as error:
                self._health.retried += 1
                await self.failed(error)
            except Exception as error:
                if len(batch.entries) == 1:
                    batch = self._without(batch, PoisonEntry(f"{type(error).__name__}: {error}", 0))
                    continue
                await self.failed(error)
                return await self._deliver_halves(batch)
            else:
                self.succeeded()
                return True
            if self._give_up():
                return False

    async def recover(self) -> bool:
        """Store what dead processes left in the journal directory; False if `give_up` came first."""
        if self._journal_dir is None:
            return True
        for orphan, batches, note in recovered_batches(self._journal_dir, self._clock.now_us()):
            try:
                for batch in batches:
                    if not await self.deliver(batch):
                        return False
                orphan.remove()
            finally:
                orphan.release()
            self._health.recovered += note["sealed"]
            self._health.interrupted += note["interrupted"]
            report("auditmw.recovered", "warning", **note)
        return True

    async def failed(self, error: Exception) -> None:
        """Note that the store does not answer, and wait before the next try."""
        if self._health.last_store_error is None:
            report("auditmw.store_unavailable", error=str(error), meaning="entries wait in the journal")
        self._health.last_store_error = str(error)
        if not self._give_up():
            await asyncio.sleep(self._retry_seconds * random.uniform(0.5, 1))
        self._retry_seconds = min(LAST_RETRY_SECONDS, self._retry_seconds * 2)

    def succeeded(self) -> None:
        """Note that the store answers."""
        if self._health.last_store_error is not None:
            report("auditmw.store_available", "info")
            self._health.last_store_error = None
        self._retry_seconds = FIRST_RETRY_SECONDS

    async def _deliver_halves(self, batch: Batch) -> bool:
        """An error that no store should raise: find the entry that causes it."""
        middle = len(batch.entries) // 2
        first = Batch(batch.writer, batch.first_seq, batch.entries[:middle])
        second = Batch(batch.writer, batch.first_seq + middle, batch.entries[middle:])
        return await self.deliver(first) and await self.deliver(second)

    def _priced(self, entry: AuditEntry) -> AuditEntry:
        if entry.kind != "llm" or entry.cost_status is not None:
            return entry
        try:
            cost = self._prices.price(entry)
        except Exception as error:  # a defect in a price table costs a price, never an entry
            report("auditmw.not_priced", error=repr(error), request_id=entry.request_id)
            return entry
        return structs.replace(
            entry, cost_nano=cost.nano, cost_status=cost.status, price_source=cost.source, unit_prices=cost.unit_prices
        )

    def _bridged(self, batch: Batch, last_seq: int) -> Batch:
        """The batch with what the store misses before it marked as lost."""
        lost = lost_entries(batch.writer, last_seq + 1, batch.first_seq, self._clock.now_us())
        report("auditmw.entries_lost", writer=batch.writer, count=len(lost), meaning="neither stored nor journalled")
        return Batch(batch.writer, last_seq + 1, [*lost, *batch.entries])

    def _without(self, batch: Batch, error: PoisonEntry) -> Batch:
        """The batch with the refused entry set aside and a control entry under its number in its place."""
        poison = batch.entries[error.index]
        self._health.set_aside += 1
        kept = self._set_aside(poison, error)
        report("auditmw.entry_set_aside", error=str(error), request_id=poison.request_id, kept_in=kept)
        note = control_entry(poison.request_id, self._clock.now_us(), "set_aside", error=str(error), kept_in=kept)
        entries = list(batch.entries)
        entries[error.index] = structs.replace(note, writer=poison.writer, seq=poison.seq)
        return structs.replace(batch, entries=entries)

    def _set_aside(self, poison: AuditEntry, error: PoisonEntry) -> str | None:
        if self._journal_dir is None:
            return None
        path = self._journal_dir / "set_aside.jsonl"
        try:
            self._journal_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            with path.open("ab") as file:
                file.write(msgspec.json.encode({"error": str(error), "entry": list(structs.astuple(poison))}) + b"\n")
        except (OSError, TypeError, ValueError) as failure:
            report("auditmw.set_aside_failed", error=str(failure))
            return None
        return str(path)
