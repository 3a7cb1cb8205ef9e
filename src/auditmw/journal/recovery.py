"""What dead writers left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from auditmw.errors import JournalError
from auditmw.journal.frame import HEADER, INTENT, SEALED, Damage, Record
from auditmw.journal.segment import parse_header, read_segment, sealed_records, segments_of
from auditmw.journal.state import HeldFile, hold_if_free, read_state, state_path, writers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Torn(NamedTuple):
    """Bytes of a dead writer's file that are no record, and were left out."""

    file: str
    offset: int
    length: int
    crc32: int


class Orphan:
    """The journal of a dead writer, locked for this process until `remove` or `release`.

    Everything here follows from the files alone, which reading does not change: a recovery that is itself killed is
    repeated with the same result.

    Attributes:
        writer_id: 16 bytes.
        pid, metadata: of the process that wrote it.
        acknowledged: the store had everything up to this number.
        last_seq: the highest number that was used as far as the files tell; recovery goes on behind it.
        open_intents: attempts whose outcome is unknown, in the order in which they began; `seq` is 0.
        torn: damaged stretches; usually none, or the tail of the newest file.
    """

    def __init__(self, directory: Path, writer_id: bytes, held: HeldFile) -> None:
        self.writer_id = writer_id
        self.pid = 0
        self.metadata = b""
        self.acknowledged = self.last_seq = read_state(held.path).acknowledged
        self._directory = directory
        self._held = held
        self._segments = segments_of(directory, writer_id)
        intents: dict[bytes, bytes] = {}
        torn = []
        for path in self._segments:
            for item in read_segment(path, writer_id):
                if isinstance(item, Damage):
                    torn.append(Torn(path.name, *item))
                    continue
                self.last_seq = max(self.last_seq, item.seq)
                if item.kind == HEADER:
                    header = parse_header(item)
                    self.pid, self.metadata, intents = header.pid, header.metadata, header.carried
                elif item.kind == INTENT:
                    intents[item.request_id] = item.payload
                elif item.kind == SEALED:
                    intents.pop(item.request_id, None)
        self.open_intents = tuple(Record(INTENT, 0, request_id, payload) for request_id, payload in intents.items())
        self.torn = tuple(torn)

    def sealed(self) -> Iterator[Record]:
        """The entries that the store had not acknowledged, by rising number; one file in memory at a time."""
        return sealed_records(self._segments, self.writer_id, after=self.acknowledged)

    def remove(self) -> None:
        """Delete the files: the store has committed all that was in them. Raises JournalError."""
        try:
            # Oldest first: whatever an interruption leaves still tells which intents were open.
            for path in self._segments:
                path.unlink(missing_ok=True)
            for path in self._directory.glob(f"{self.writer_id.hex()}.*.new"):
                path.unlink(missing_ok=True)
            self._held.remove()
        except OSError as error:
            raise JournalError(
                f"{error.filename} cannot be removed ({error.strerror}): give this process write access beside it"
            ) from error

    def release(self) -> None:
        """Leave the files to another process or another time; nothing after `remove`."""
        self._held.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def orphans(directory: Path) -> Iterator[Orphan]:
    """The journals of dead writers in the order in which the writers started, each locked when its turn comes.

    What another process holds is passed over, and what holds nothing that is not stored is removed. Journals that
    cannot be read do not keep the others from recovery: they stay, and one JournalError at the end names them.
    """
    unreadable = []
    started = {writer_id: read_state(state_path(directory, writer_id)).created for writer_id in writers(directory)}
    for writer_id in sorted(started, key=lambda writer_id: (started[writer_id], writer_id)):
        try:
            orphan = _adopt(directory, writer_id)
        except (OSError, JournalError) as error:
            unreadable.append(str(error))
            continue
        if orphan is not None:
            yield orphan
    if unreadable:
        raise JournalError("these journals cannot be recovered: " + "; ".join(unreadable))


def _adopt(directory: Path, writer_id: bytes) -> Orphan | None:
    held = hold_if_free(state_path(directory, writer_id))
    if held is None:
        return None
    try:
        orphan = Orphan(directory, writer_id, held)
        if orphan.last_seq == orphan.acknowledged and not orphan.open_intents and not orphan.torn:
            orphan.remove()
            return None
        return orphan
    except BaseException:
        held.release()
        raise
