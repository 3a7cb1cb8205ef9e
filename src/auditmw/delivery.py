"""Brings batches into the store: priced, tried again until they are in, with what the store refuses set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import SystemRandom
from typing import Final

import msgspec
from msgspec import structs

from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry
from auditmw.errors import (
    ConfigurationError,
    JournalError,
    KeyMismatch,
    PoisonEntry,
    SchemaMismatch,
    SequenceGap,
    StoreUnavailable,
)
from auditmw.health import Health
from auditmw.journal import Orphan, orphans
from auditmw.prices import PriceBook
from auditmw.recovery import Recovery
from auditmw.sealing import control_entry, lost_entry, numbered
from auditmw.stores.protocol import Batch, Store

FIRST_RETRY_SECONDS: Final = 0.05
LAST_RETRY_SECONDS: Final = 0.5
LOST_AT_ONCE: Final = 1000
SET_ASIDE: Final = "set_aside"
WAITING: Final = (StoreUnavailable, ConfigurationError, SchemaMismatch, KeyMismatch)
"""What an operator can put right while entries wait: no entry is to blame."""
_jitter: Final = SystemRandom()  # the application's own random numbers stay as it has seeded them


class Delivery:
    """One store and the way into it; lives on one event loop. `pause` waits before a next try, for so many seconds."""

    def __init__(
        self,
        store: Store,
        prices: PriceBook,
        health: Health,
        *,
        clock: Clock,
        journal_dir: Path | None,
        give_up: Callable[[], bool],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._prices = prices
        self._health = health
        self._clock = clock
        self._journal_dir = journal_dir
        self._give_up = give_up
        self._pause = pause
        self._retry_seconds = FIRST_RETRY_SECONDS

    async def deliver(self, batch: Batch) -> bool:
        """Store a batch, trying again until it is in; False if `give_up` says so before."""
        batch = self._priced(batch)
        while True:
            try:
                self._health.written += await self._store.append(batch)
            except PoisonEntry as error:
                batch = await self._without(batch, error)
            except SequenceGap as error:
                if not await self._bridge(batch.writer, error.last_seq + 1, batch.first_seq):
                    return False
            except WAITING as error:
                self._health.retried += 1
                await self.failed(error)
            except Exception as error:
                if len(batch.entries) > 1:
                    return await self._deliver_halves(batch)
                batch = await self._without(batch, PoisonEntry(f"{type(error).__name__}: {error}", 0))
            else:
                self.succeeded()
                return True
            if self._give_up():
                return False

    async def prepare(self, batch: Batch) -> Batch:
        """The batch to deliver in its place, with as much of the work done as can be before its turn comes."""
        batch = self._priced(batch)
        await self._store.prepare(batch)
        return batch

    async def recover(self) -> bool:
        """Store what dead processes left in the journal directory; False if `give_up` came first."""
        if self._journal_dir is None or not self._journal_dir.is_dir():
            return True
        try:
            for orphan in orphans(self._journal_dir):
                with orphan:
                    try:
                        done = await self._recover(orphan)
                    except (JournalError, msgspec.DecodeError) as error:  # the others go on
                        self._not_recovered(error)
                    else:
                        if not done:
                            return False
        except JournalError as error:
            self._not_recovered(error)
        return True

    async def _recover(self, orphan: Orphan) -> bool:
        recovery = Recovery(orphan, self._clock.now_us())
        while True:
            known = await self._known(recovery)
            if known is None:
                return False
            last_seq, stored = known
            if recovery.note_id in stored:
                break
            for batch in recovery.batches(last_seq, stored):
                if not await self.deliver(batch):
                    return False
        orphan.remove()
        self._health.recovered += recovery.note["sealed"]
        self._health.interrupted += recovery.note["interrupted"]
        self._health.lost += recovery.note["lost"]
        report("auditmw.recovered", "warning", **recovery.note)
        return True

    async def _known(self, recovery: Recovery) -> tuple[int, set[str]] | None:
        """What the store has of a dead writer; None if `give_up` came before it answered."""
        while True:
            try:
                stored = await self._store.stored(recovery.request_ids)
                return await self._store.last_seq(recovery.writer), stored
            except WAITING as error:
                await self.failed(error)
            if self._give_up():
                return None

    def _not_recovered(self, error: Exception) -> None:
        self._health.journal_failures += 1
        report("auditmw.journal_not_recovered", error=str(error), meaning="its files stay, and the next start tries")

    async def failed(self, error: Exception) -> None:
        """Note that the store does not answer, and wait before the next try."""
        if self._health.last_store_error is None:
            report("auditmw.store_unavailable", error=str(error), meaning="entries wait in the journal")
        self._health.last_store_error = str(error)
        if not self._give_up():
            await self._pause(self._retry_seconds * _jitter.uniform(0.5, 1))
        self._retry_seconds = min(LAST_RETRY_SECONDS, self._retry_seconds * 2)

    def succeeded(self) -> None:
        """Note that the store answers."""
        if self._health.last_store_error is not None:
            report("auditmw.store_available", "info")
            self._health.last_store_error = None
        self._retry_seconds = FIRST_RETRY_SECONDS

    async def _deliver_halves(self, batch: Batch) -> bool:
        """An error that tells of no entry: find the one that causes it."""
        middle = len(batch.entries) // 2
        first = Batch(batch.writer, batch.first_seq, batch.entries[:middle])
        second = Batch(batch.writer, batch.first_seq + middle, batch.entries[middle:])
        return await self.deliver(first) and await self.deliver(second)

    def _priced(self, batch: Batch) -> Batch:
        """The batch itself where every price is known."""
        if not any(_lacks_price(entry) for entry in batch.entries):
            return batch
        entries = [self._with_price(entry) if _lacks_price(entry) else entry for entry in batch.entries]
        return structs.replace(batch, entries=entries)

    def _with_price(self, entry: AuditEntry) -> AuditEntry:
        try:
            cost = self._prices.price(entry)
        except Exception as error:  # a defect in a price table costs a price, never an entry
            report("auditmw.not_priced", error=repr(error), request_id=entry.request_id)
            return entry
        return structs.replace(
            entry, cost_nano=cost.nano, cost_status=cost.status, price_source=cost.source, unit_prices=cost.unit_prices
        )

    async def _bridge(self, writer: str, first_seq: int, until_seq: int) -> bool:
        """Store that what the store misses before a batch is lost."""
        count, now_us = until_seq - first_seq, self._clock.now_us()
        report("auditmw.entries_lost", writer=writer, count=count, meaning="neither stored nor journalled")
        for start in range(first_seq, until_seq, LOST_AT_ONCE):
            end = min(start + LOST_AT_ONCE, until_seq)
            lost = Batch(writer, start, [lost_entry(writer, seq, now_us) for seq in range(start, end)])
            if not await self.deliver(lost):
                return False
            self._health.lost += end - start
        return True

    async def _without(self, batch: Batch, error: PoisonEntry) -> Batch:
        """The batch with the refused entry set aside and a control entry under its number in its place."""
        poison = numbered(batch.entries[error.index], batch.writer, batch.first_seq + error.index)
        if poison.action == SET_ASIDE and poison.kind == "control":  # refused too: it is not the entry then
            await self.failed(error)
            return batch
        self._health.set_aside += 1
        kept = self._set_aside(poison, error)
        report("auditmw.entry_set_aside", error=str(error), request_id=poison.request_id, kept_in=kept)
        note = control_entry(poison.request_id, self._clock.now_us(), SET_ASIDE, error=str(error), kept_in=kept)
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


def _lacks_price(entry: AuditEntry) -> bool:
    return entry.cost_status is None and entry.kind == "llm"
