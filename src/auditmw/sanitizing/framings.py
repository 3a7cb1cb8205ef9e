"""How the events of a stream are framed: as server-sent events, or in the binary frames of Amazon Bedrock."""

from __future__ import annotations

import binascii
import re
import zlib
from typing import Any, Final, Protocol

import msgspec

from auditmw.sanitizing.deltas import Event
from auditmw.wire import wire_json

_END_OF_EVENT: Final = re.compile(rb"(?>\r\n|\n|\r){2}")
_LENGTHS: Final = 8
_PRELUDE: Final = 12
_CHECKSUM: Final = 4


class Framing(Protocol):
    """Cuts a stream into frames of one event each, and puts an event into a frame like another."""

    def cut(self, buffer: bytearray) -> list[bytes]:
        """Take the whole frames off the buffer's front."""

    def event(self, frame: bytes) -> Event | None:
        """The event in a frame; None for a frame without one."""

    def framed(self, frame: bytes, event: Event) -> bytes:
        """The event in a frame that is otherwise like this one."""


class ServerSentEvents:
    """Lines of text; an empty line ends an event."""

    def __init__(self) -> None:
        self._searched = 0

    def cut(self, buffer: bytearray) -> list[bytes]:
        """See `Framing`."""
        frames = []
        done = 0
        for match in _END_OF_EVENT.finditer(bytes(buffer), self._searched):
            frames.append(bytes(buffer[done : match.end()]))
            done = match.end()
        del buffer[:done]
        self._searched = max(0, len(buffer) - 3)  # the longest end of an event may be cut
        return frames

    def event(self, frame: bytes) -> Event | None:
        """See `Framing`."""
        lines = [line[5:].removeprefix(b" ") for line in frame.splitlines() if line.startswith(b"data:")]
        return _object(b"\n".join(lines))

    def framed(self, frame: bytes, event: Event) -> bytes:
        """See `Framing`; the lines beside the data are kept."""
        lines = [line for line in frame.splitlines() if line and not line.startswith(b"data:")]
        return b"\n".join([*lines, b"data: " + wire_json(event), b"", b""])


class BinaryFrames:
    """`application/vnd.amazon.eventstream`: lengths, headers, a payload whose `bytes` is the event, and checksums."""

    def cut(self, buffer: bytearray) -> list[bytes]:
        """See `Framing`."""
        frames = []
        while len(buffer) >= _PRELUDE:
            length = int.from_bytes(buffer[:4], "big")
            if not _PRELUDE + _CHECKSUM <= length <= len(buffer):
                break
            frames.append(bytes(buffer[:length]))
            del buffer[:length]
        return frames

    def event(self, frame: bytes) -> Event | None:
        """See `Framing`."""
        payload = _object(frame[self._payload_start(frame) : -_CHECKSUM])
        try:
            return None if payload is None else _object(binascii.a2b_base64(payload["bytes"]))
        except (KeyError, TypeError, ValueError):
            return None

    def framed(self, frame: bytes, event: Event) -> bytes:
        """See `Framing`; the headers are kept."""
        start = self._payload_start(frame)
        payload = _object(frame[start:-_CHECKSUM]) or {}
        payload["bytes"] = binascii.b2a_base64(wire_json(event), newline=False).decode()
        body = frame[_PRELUDE:start] + wire_json(payload)
        lengths = (_PRELUDE + len(body) + _CHECKSUM).to_bytes(4, "big") + frame[4:_LENGTHS]
        prelude = lengths + _checksum(lengths)
        return prelude + body + _checksum(prelude + body)

    @staticmethod
    def _payload_start(frame: bytes) -> int:
        return _PRELUDE + int.from_bytes(frame[4:_LENGTHS], "big")


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
