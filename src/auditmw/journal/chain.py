"""One writer's segments in a row: records go into the newest, and the oldest are removed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from auditmw.journal.segment import Segment, create_segment, sync_directory, sync_file

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Lock

SLOW_SECONDS = 0.05


class Chain:
    """Appends, rotates by size, removes, and brings to the disk. Every method may raise OSError.

    `append` and `rotate` are called with `lock` held; `flush` and `remove` take it themselves. `last_seq` and
    `open_intents` (records by request id) are kept by the journal: a new segment starts with them.
    """

    def __init__(
        self, directory: Path, writer_id: bytes, *, lock: Lock, disk: bool, segment_bytes: int, metadata: bytes
    ) -> None:
        self.last_seq = self.written_seq = 0
        self.open_intents: dict[bytes, bytes] = {}
        self.slow_writes = 0
        self.stale = False
        self._directory = directory
        self._writer_id = writer_id
        self._lock = lock
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._metadata = metadata
        self._earlier: list[Segment] = []
        self._unsynced: list[Segment] = []
        self._names_unsynced = False
        self._newest = self._create(1)
        self.position = self.bytes_used = self._newest.size
        sync_directory(directory)

    @property
    def grown(self) -> int:
        """How many bytes the newest segment has got since it was made."""
        return self._newest.size - self._newest.start

    def append(self, record: bytes, seq: int = 0) -> None:
        """Write one record, in a new segment if the newest is full; `seq` is its number if it has one."""
        segment = self._newest
        started = time.monotonic()
        grown = segment.size - segment.start
        if (grown and grown + len(record) > self._segment_bytes) or self.stale or segment.broken:
            segment = self.rotate()
        written_seq = self.written_seq
        if seq:  # before the write, which Ctrl-C may interrupt when it is done
            self.last_seq = segment.last_seq = max(self.last_seq, seq)
            self.written_seq = seq
        try:
            segment.append(record)
        except OSError:
            self.written_seq = written_seq
            raise
        if time.monotonic() - started > SLOW_SECONDS:
            self.slow_writes += 1
        self.position += len(record)
        self.bytes_used += len(record)

    def rotate(self) -> Segment:
        """Go on in a new segment; in the old one if that cannot be made and the old one is sound."""
        old = self._newest
        try:
            segment = self._create(old.number + 1)
        except OSError:
            if old.broken:
                raise
            return old
        self._newest = segment
        self._names_unsynced = True
        self.stale = False
        self.position += segment.size
        self.bytes_used += segment.size
        self._earlier.append(old)
        if self._disk:
            self._unsynced.append(old)
        else:
            os.close(old.fd)
        return segment

    def is_in_place(self) -> bool:
        """Whether the newest segment can still be found by its name."""
        return self._newest.path.exists()

    def begin_anew(self) -> None:
        """Go on in a new segment, whatever has become of the old one."""
        self._newest.broken = True
        self.rotate()

    def finished(self, upto_seq: int) -> list[Segment]:
        """The segments before the newest that hold no higher number."""
        return [segment for segment in self._earlier if segment.last_seq <= upto_seq]

    def remove(self, segments: list[Segment]) -> None:
        """Delete finished segments."""
        for segment in segments:
            segment.path.unlink(missing_ok=True)
            with self._lock:
                self._earlier.remove(segment)
                self.bytes_used -= segment.size

    def flush(self) -> int:
        """Bring everything appended so far to the disk; gives the position reached."""
        with self._lock:
            position, newest = self.position, self._newest
            earlier, self._unsynced = self._unsynced, []
            names_unsynced, self._names_unsynced = self._names_unsynced, False
        try:
            for segment in [*earlier, newest]:
                sync_file(segment.fd)
            if names_unsynced:
                sync_directory(self._directory)
        except OSError:
            # After a failed fsync the kernel may call the lost pages clean: a second try on this file proves nothing.
            newest.broken = True
            raise
        finally:
            for segment in earlier:
                os.close(segment.fd)
        return position

    def close(self) -> None:
        """Close the files."""
        for segment in [*self._unsynced, self._newest]:
            os.close(segment.fd)

    def delete(self) -> None:
        """Delete all files, oldest first."""
        for segment in [*self._earlier, self._newest]:
            segment.path.unlink(missing_ok=True)

    def _create(self, number: int) -> Segment:
        return create_segment(
            self._directory,
            self._writer_id,
            number=number,
            last_seq=self.last_seq,
            metadata=self._metadata,
            carried=b"".join(self.open_intents.values()),
        )
