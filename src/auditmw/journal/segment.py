"""The files of one writer: `<writer>.<number>.journal`, each complete in itself.

A segment starts with eight bytes that name the format and a header record. The header says which number the sequence
had reached and carries every intent that was open when the segment was made: older segments are never needed to know
what is open now. It is written under another name first, so that a segment which can be seen has a whole header.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from auditmw.errors import JournalError
from auditmw.journal.frame import HEADER, INTENT, SEALED, Damage, Record, encode, scan, seed_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME, _VERSION = b"auditmw", 1
PREAMBLE = _NAME + bytes([_VERSION])
_HEADER = Struct("<IQI")
_SUFFIX = ".journal"
# Not `os.write`, which lets go of the interpreter lock. A write into the page cache takes 2 microseconds; letting go of
# the lock for it hands it to the writer's thread, and getting it back costs more than all the rest of recording a call,
# in latency up to 5 ms (measured).
_write = ctypes.PyDLL(None, use_errno=True).write
_write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_write.restype = ctypes.c_ssize_t


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))


class Header(NamedTuple):
    """What a segment says of itself. `created` is in microseconds since 1970, `metadata` opaque to the journal."""

    pid: int
    created: int
    metadata: bytes
    carried: dict[bytes, bytes]


@dataclass(slots=True)
class Segment:
    """A segment open for appending. Sizes in bytes; `last_seq` is the highest number in it or before it."""

    path: Path
    number: int
    fd: int
    last_seq: int
    start: int = 0
    size: int = 0
    broken: bool = False

    def append(self, content: bytes) -> None:
        """Write `content` at the end, or nothing of it: a part of it is cut off again. Raises OSError.

        If it cannot be cut off the segment is `broken`, and nothing may be appended behind it.
        """
        length = len(content)
        written = _write(self.fd, content, length)
        if written != length:
            self._write_rest(content, written)
        self.size += length

    def _write_rest(self, content: bytes, written: int) -> None:
        if written < 0:
            raise _error()
        try:
            while written < len(content):
                more = _write(self.fd, content[written:], len(content) - written)
                if more < 0:
                    raise _error()
                written += more
        except OSError:
            self._cut_off(written)
            raise

    def _cut_off(self, written: int) -> None:
        try:
            # Not `self.size`: an interrupt (Ctrl-C) between a write and its bookkeeping may have made that too small.
            os.ftruncate(self.fd, os.fstat(self.fd).st_size - written)
        except OSError:
            self.broken = True


def create_segment(
    directory: Path, writer_id: bytes, *, number: int, last_seq: int, metadata: bytes, carried: bytes
) -> Segment:
    """Make and open segment `number`; `carried`: the records of the open intents. Raises OSError, leaving nothing."""
    payload = _HEADER.pack(os.getpid(), time.time_ns() // 1000, len(metadata)) + metadata + carried
    path = directory / f"{writer_id.hex()}.{number:010d}{_SUFFIX}"
    unfinished = path.with_suffix(".new")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    segment = Segment(path, number, fd, last_seq)
    try:
        segment.append(PREAMBLE + encode(seed_of(writer_id), HEADER, last_seq, writer_id, payload))
        unfinished.rename(path)
    except OSError:
        os.close(fd)
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    segment.start = segment.size
    return segment


def segments_of(directory: Path, writer_id: bytes) -> list[Path]:
    """The segments of one writer, oldest first."""
    return sorted(directory.glob(f"{writer_id.hex()}.*{_SUFFIX}"))


def read_segment(path: Path, writer_id: bytes) -> Iterator[Record | Damage]:
    """The records of a segment that nobody writes any more, and what is damaged. Raises JournalError, OSError."""
    data = path.read_bytes()
    for item, _ in scan(seed_of(writer_id), data, _first_record(path, data)):
        yield item


def sealed_records(paths: list[Path], writer_id: bytes, *, after: int) -> Iterator[Record]:
    """The sealed entries with a higher number than `after`, each once, by rising number. Raises as `read_segment`."""
    for path in paths:
        for item in read_segment(path, writer_id):
            if isinstance(item, Record) and item.kind == SEALED and item.seq > after:
                after = item.seq
                yield item


def _first_record(path: Path, data: bytes) -> int:
    """Where the records start. Raises JournalError when a newer auditmw wrote this file."""
    if data.startswith(PREAMBLE):
        return len(PREAMBLE)
    if data.startswith(_NAME) and len(data) > len(_NAME) and data[len(_NAME)] > _VERSION:
        raise JournalError(f"{path} was written by a newer auditmw: upgrade this one to recover it")
    return 0


def parse_header(record: Record) -> Header:
    """The header in a record of that kind."""
    pid, created, metadata_length = _HEADER.unpack_from(record.payload)
    carried_at = _HEADER.size + metadata_length
    carried = {
        item.request_id: item.payload
        for item, _ in scan(seed_of(record.request_id), record.payload, carried_at)
        if isinstance(item, Record) and item.kind == INTENT
    }
    return Header(pid, created, record.payload[_HEADER.size : carried_at], carried)


def make_directory(directory: Path) -> None:
    """Make it and what is missing above it, for this user only, and let that survive power loss. Raises OSError."""
    missing = [path for path in [directory, *directory.parents] if not path.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in missing:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive power loss. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(fd: int) -> None:
    """Make what was written to a file survive power loss. Raises OSError."""
    if sys.platform == "darwin":  # pragma: no cover  (fsync leaves the data in the drive's cache there)
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)
