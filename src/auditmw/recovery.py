"""What a dead process left in its journal, as batches under its own writer's numbers.

They follow from the file and from what the store has of the writer. A journal on a machine that lost power may end
before what the store has: then the store's numbers count, and what it has of the calls that the file shows as open. The
last entry tells of the recovery under an id that follows from the writer's: where that is stored, all of it was done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from auditmw.entry import AuditEntry
from auditmw.journal import Orphan, Record
from auditmw.sealing import control_entry, decode, lost_entry, numbered
from auditmw.stores.protocol import Batch

BATCH_ENTRIES: Final = 1000


class Recovery:
    """Works out what is to be stored of one dead writer's journal.

    Attributes:
        writer: its id.
        note_id: the request id of the entry that tells of the recovery.
        request_ids: of which to ask the store whether it has them.
        note: what was found, for that entry and for the log; complete when `batches` has ended.
    """

    def __init__(self, orphan: Orphan, now_us: int) -> None:
        self.writer = orphan.writer_id.hex()
        self.note_id = str(UUID(bytes=orphan.writer_id))
        self._orphan = orphan
        self._now_us = now_us
        self._open = [_interrupted(record, now_us) for record in orphan.open_intents]
        self.request_ids = [self.note_id, *(entry.request_id for entry in self._open)]
        self.note: dict[str, Any] = {
            "writer": self.writer,
            "pid": orphan.pid,
            "sealed": 0,
            "interrupted": 0,
            "lost": 0,
            "torn_bytes": sum(torn.length for torn in orphan.torn),
        }

    def batches(self, last_seq: int, stored: Collection[str]) -> Iterator[Batch]:
        """What the store misses when it has the writer up to `last_seq`, and the entries with the ids `stored`."""
        batch: list[AuditEntry] = []
        for entry in self._entries(last_seq, stored):
            batch.append(entry)
            if len(batch) == BATCH_ENTRIES:
                yield Batch(self.writer, batch[0].seq or 0, batch)
                batch = []
        if batch:
            yield Batch(self.writer, batch[0].seq or 0, batch)

    def _entries(self, last_seq: int, stored: Collection[str]) -> Iterator[AuditEntry]:
        seq = last_seq
        self.note |= {"sealed": 0, "interrupted": 0, "lost": 0}
        for record in self._orphan.sealed():
            if record.seq > last_seq:
                yield from self._lost(seq, record.seq)
                seq = record.seq
                self.note["sealed"] += 1
                yield numbered(decode(record.payload), self.writer, seq)
        yield from self._lost(seq, self._orphan.last_seq + 1)
        seq = max(seq, self._orphan.last_seq)
        for entry in self._open:
            if entry.request_id not in stored:
                seq += 1
                self.note["interrupted"] += 1
                yield numbered(entry, self.writer, seq)
        yield numbered(self._told(), self.writer, seq + 1)

    def _lost(self, after: int, before: int) -> Iterator[AuditEntry]:
        for seq in range(after + 1, before):
            self.note["lost"] += 1
            yield lost_entry(self.writer, seq, self._now_us)

    def _told(self) -> AuditEntry:
        torn = [{"file": t.file, "offset": t.offset, "bytes": t.length, "crc32": t.crc32} for t in self._orphan.torn]
        return control_entry(self.note_id, self._now_us, "recover", **self.note, torn=torn or None)


def _interrupted(record: Record, now_us: int) -> AuditEntry:
    return structs.replace(decode(record.payload), logged_at_us=now_us, usage_complete=False)
