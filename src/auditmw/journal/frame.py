"""The frame around every record of a journal file: pure bytes, no I/O.

    mark 2 | crc32 4 | payload length 4 | kind 1 | seq 8 | request id 16 | payload        little-endian

The checksum covers everything after it and starts from the checksum of the writer's random id. Bytes of another file
are therefore never taken for a record of this one, nor is a payload that was made to look like a frame: who wrote it
did not know the id. The mark lets a reader find the next record behind damaged bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER, INTENT, SEALED = 1, 2, 3

_MARK = b"\xa7\x4c"
_FRAME = struct.Struct("<2sIIBQ16s")
_CHECKED = struct.Struct("<IBQ16s")
_MARK_AND_CRC = struct.Struct("<2sI")
FRAME_BYTES = _FRAME.size


class Record(Struct, frozen=True, gc=False):
    """One record: what it is, its place in the writer's sequence (0: none), the attempt it belongs to, opaque bytes."""

    kind: int
    seq: int
    request_id: bytes
    payload: bytes


class Damage(NamedTuple):
    """Bytes that are no record: a torn tail, or a hole in the middle of a file."""

    offset: int
    length: int
    crc32: int


def seed_of(writer_id: bytes) -> int:
    """The value that the checksums of this writer's records start from."""
    return crc32(writer_id)


def encode(seed: int, kind: int, seq: int, request_id: bytes, payload: bytes) -> bytes:
    """One record as it lies in the file. `request_id` is 16 bytes."""
    checked = _CHECKED.pack(len(payload), kind, seq, request_id) + payload
    return _MARK_AND_CRC.pack(_MARK, crc32(checked, seed)) + checked


def decode(seed: int, data: bytes, offset: int) -> tuple[Record, int] | None:
    """The record at `offset` and the offset behind it, or None when no whole and sound record lies there."""
    payload_at = offset + FRAME_BYTES
    if payload_at > len(data):
        return None
    mark, checksum, length, kind, seq, request_id = _FRAME.unpack_from(data, offset)
    end = payload_at + length
    if mark != _MARK or end > len(data):
        return None
    checked = data[offset + _MARK_AND_CRC.size : end]
    if crc32(checked, seed) != checksum:
        return None
    return Record(kind, seq, request_id, checked[_CHECKED.size :]), end


def scan(seed: int, data: bytes, offset: int = 0) -> Iterator[tuple[Record | Damage, int]]:
    """Every record from `offset` on, and every damaged stretch between them, each with the offset behind it.

    A record that is still being written shows as damage that reaches to the end of `data`.
    """
    while offset < len(data):
        found = decode(seed, data, offset)
        if found is None:
            end = _next_record(seed, data, offset + 1)
            yield Damage(offset, end - offset, crc32(memoryview(data)[offset:end])), end
            offset = end
        else:
            yield found
            offset = found[1]


def _next_record(seed: int, data: bytes, offset: int) -> int:
    while (offset := data.find(_MARK, offset)) != -1:
        if decode(seed, data, offset) is not None:
            return offset
        offset += 1
    return len(data)
