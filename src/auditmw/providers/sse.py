"""Server-sent events, read after a stream has ended: all bytes at once, into lean structs."""

from __future__ import annotations

import re
from typing import Final, Generic, TypeVar

import msgspec

Event = TypeVar("Event")

_DATA: Final = re.compile(rb"\ndata: ?(\{.*)")


class EventReader(Generic[Event]):
    """Decodes the data of every event whose data is a JSON object into the given msgspec struct.

    The usual stream, one `data:` line an event, takes one pass of a regular expression and one decode. What that
    cannot read (a cut last event, data over several lines, an event of an unexpected shape) is read event by event, and
    what is unreadable then is left out.
    """

    def __init__(self, event_type: type[Event]) -> None:
        self._all = msgspec.json.Decoder(list[event_type])  # type: ignore[valid-type]  # a type known at run time
        self._one = msgspec.json.Decoder(event_type)

    def read(self, raw: bytes) -> list[Event]:
        """The events of a whole or cut stream, in order; never raises."""
        try:
            return self._all.decode(b"[" + b",".join(_DATA.findall(b"\n" + raw)) + b"]")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return [event for data in event_data(raw) if (event := self._decode(data)) is not None]

    def read_each(self, payloads: list[bytes]) -> list[Event]:
        """The same from events whose data has been taken out of another framing."""
        return [event for data in payloads if (event := self._decode(data)) is not None]

    def _decode(self, data: bytes) -> Event | None:
        try:
            return self._one.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None


def event_data(raw: bytes) -> list[bytes]:
    """The data of each event by the letter of the standard: lines of one event are joined by a line feed.

    Unlike the standard, a last event without its closing blank line counts: the server may have been cut off there.
    """
    found: list[bytes] = []
    lines: list[bytes] = []
    for line in [*raw.splitlines(), b""]:
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
        elif not line and lines:
            found.append(b"\n".join(lines))
            lines = []
    return found
