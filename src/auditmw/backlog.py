"""What is sealed and not stored, in order: in memory as far as it fits, the rest in the journal alone.

An outage of the store costs disk and no memory. A number that is neither in memory nor in the journal when its turn
comes is lost, and an entry in its place says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Lock
from typing import Final

from auditmw.entry import AuditEntry
from auditmw.journal import Record
from auditmw.sealing import decode, lost_entry
from auditmw.stores.protocol import Batch

MEMORY_ENTRIES: Final = 10_000
"""Entries held in memory before the rest waits in the journal alone."""


class Backlog:
    """One writer's numbers and the entries that wait under them.

    Added from any thread with `lock` held, together with the numbering; taken by the writer's thread.

    Attributes:
        held: what is in memory: numbers, payloads, and when they were sealed.
    """

    def __init__(self, writer: str, lock: Lock) -> None:
        self.last_seq = self.stored = 0
        self.bytes = 0
        self.lost = 0
        self._writer = writer
        self._lock = lock
        self.held: deque[tuple[int, bytes, int | None]] = deque()
        self._taken = 0
        self._under_way: deque[tuple[int, int | None]] = deque()
        self._records: Iterator[Record] | None = None
        self._records_until = 0
        self._ahead: Record | None = None
        self._waits: list[tuple[int, Future[None]]] = []

    def add(self, seq: int, payload: bytes, logged_at_us: int | None, *, journalled: bool) -> None:
        """Put an entry's payload at the end; without a place in the journal it is kept here in any case.

        The payload and not the entry: it is a third of the size, and the call's own objects are free again at once.
        """
        if not journalled or len(self.held) < MEMORY_ENTRIES:
            self.held.append((seq, payload, logged_at_us))
            self.bytes += len(payload)

    def take(
        self, limit: int, read_back: Callable[[int], Iterator[Record]], now_us: int, *, whole: bool = False
    ) -> Batch | None:
        """The next entries by consecutive numbers, at most `limit`; None when nothing waits, or with `whole` fewer.

        `read_back` gives the journal's sealed records after a number. Its errors are raised, and nothing is taken then.
        """
        with self._lock:
            if whole and self.last_seq - self._taken < limit:
                return None
            payloads = self._from_memory(limit)
            until = self.held[0][0] - 1 if self.held else self.last_seq
        entries = [decode(payload) for payload in payloads]
        if not entries and self._taken < until:
            entries = self._from_journal(min(limit, until - self._taken), until, read_back, now_us)
        if not entries:
            return None
        batch = Batch(self._writer, self._taken + 1, entries)
        self._taken += len(entries)
        self._under_way.append((self._taken, entries[0].logged_at_us))
        return batch

    def _from_memory(self, limit: int) -> list[bytes]:
        payloads: list[bytes] = []
        while self.held and len(payloads) < limit and self.held[0][0] == self._taken + len(payloads) + 1:
            _, payload, _ = self.held.popleft()
            self.bytes -= len(payload)
            payloads.append(payload)
        return payloads

    def _from_journal(
        self, count: int, until: int, read_back: Callable[[int], Iterator[Record]], now_us: int
    ) -> list[AuditEntry]:
        """What memory does not hold, up to the number from which on it does."""
        if self._records is None or self._records_until != until:  # else some of it may be newer than the reading
            self._records, self._records_until, self._ahead = read_back(self._taken), until, None
        entries: list[AuditEntry] = []
        lost = 0
        try:
            for seq in range(self._taken + 1, self._taken + count + 1):
                self._ahead = self._ahead or next(self._records, None)
                if self._ahead is not None and self._ahead.seq == seq:
                    entries.append(decode(self._ahead.payload))
                    self._ahead = None
                else:
                    entries.append(lost_entry(self._writer, seq, now_us))
                    lost += 1
        except Exception:
            self._records = None
            raise
        if self._taken + count == until:
            self._records = self._ahead = None
        self.lost += lost
        return entries

    def acknowledge(self, upto_seq: int) -> None:
        """The store has everything up to this number; wakes who waits for it."""
        with self._lock:
            self.stored = upto_seq
            while self._under_way and self._under_way[0][0] <= upto_seq:
                self._under_way.popleft()
            done = [future for seq, future in self._waits if seq <= upto_seq]
            self._waits = [wait for wait in self._waits if wait[0] > upto_seq]
        for future in done:
            future.set_result(None)

    def stored_when(self, seq: int) -> Future[None]:
        """Done when the store has this number; cannot be cancelled."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if seq > self.stored:
                self._waits.append((seq, future))
                return future
        future.set_result(None)
        return future

    @property
    def waiting(self) -> int:
        """How many entries are sealed and not stored."""
        return self.last_seq - self.stored

    @property
    def oldest_us(self) -> int | None:
        """When the oldest entry that is not stored was sealed; None where nothing waits or it cannot be told."""
        with self._lock:
            if self._under_way:
                return self._under_way[0][1]
            return self.held[0][2] if self.held else None
