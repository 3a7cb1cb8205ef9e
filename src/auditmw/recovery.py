"""What dead processes left in a journal directory, as batches under their own writers' numbers.

Their numbers follow from the files alone: a recovery that is killed and repeated lands every entry once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from msgspec import structs
from uuid_utils import uuid7

from auditmw.diagnostics import report
from auditmw.entry import AuditEntry
from auditmw.errors import JournalError
from auditmw.journal import Orphan, Record, orphans
from auditmw.sealing import control_entry, decode, numbered
from auditmw.stores.protocol import Batch

BATCH_ENTRIES: Final = 1000


def recovered_batches(directory: Path, now_us: int) -> Iterator[tuple[Orphan, Iterator[Batch], dict[str, Any]]]:
    """Each dead writer's journal, its batches in order, and what to say of it; the caller removes or releases it."""
    if not directory.is_dir():
        return
    try:
        for orphan in orphans(directory):
            note: dict[str, Any] = {
                "writer": orphan.writer_id.hex(),
                "pid": orphan.pid,
                "sealed": 0,
                "interrupted": len(orphan.open_intents),
                "torn_bytes": sum(torn.length for torn in orphan.torn),
            }
            yield orphan, _batches(orphan, note, now_us), note
    except JournalError as error:
        report("auditmw.journal_not_recovered", error=str(error))


def _batches(orphan: Orphan, note: dict[str, Any], now_us: int) -> Iterator[Batch]:
    writer = orphan.writer_id.hex()
    pending: list[AuditEntry] = []
    last: int | None = None
    for record in orphan.sealed():
        note["sealed"] += 1
        if last is not None:
            pending.extend(lost_entries(writer, last + 1, record.seq, now_us))
        last = record.seq
        pending.append(numbered(decode(record.payload), writer, record.seq))
        if len(pending) >= BATCH_ENTRIES:
            yield _batch(writer, pending)
            pending = []
    seq = orphan.last_seq
    if last is not None:
        pending.extend(lost_entries(writer, last + 1, seq + 1, now_us))
    for record in orphan.open_intents:
        seq += 1
        pending.append(numbered(_interrupted(record, now_us), writer, seq))
    pending.append(numbered(_recover_note(orphan, note, now_us), writer, seq + 1))
    yield _batch(writer, pending)


def lost_entries(writer: str, first_seq: int, until_seq: int, now_us: int) -> list[AuditEntry]:
    """A control entry in the place of every number that is missing: the loss itself is on record."""
    return [numbered(control_entry(str(uuid7()), now_us, "lost"), writer, seq) for seq in range(first_seq, until_seq)]


def _batch(writer: str, entries: list[AuditEntry]) -> Batch:
    return Batch(writer, entries[0].seq or 0, entries)


def _interrupted(record: Record, now_us: int) -> AuditEntry:
    return structs.replace(decode(record.payload), logged_at_us=now_us, usage_complete=False)


def _recover_note(orphan: Orphan, note: dict[str, Any], now_us: int) -> AuditEntry:
    torn = [{"file": t.file, "offset": t.offset, "bytes": t.length, "crc32": t.crc32} for t in orphan.torn]
    return control_entry(str(UUID(bytes=orphan.writer_id)), now_us, "recover", **note, torn=torn or None)
