"""Restores an answer on its way to the caller: server-sent events, a body of JSON, an iterator's texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec

from auditmw.sanitizing.deltas import Event, ended, is_signed, parts
from auditmw.sanitizing.restoring import Restorer, TextStream

_END_OF_EVENT: Final = re.compile(rb"(?>\r\n|\n|\r){2}")


class EventStream:
    """Bytes of a stream of events in, the same with the values restored out, in whole events."""

    def __init__(self, restorer: Restorer) -> None:
        self._restorer = restorer
        self._buffer = bytearray()
        self._searched = 0
        self._texts: dict[tuple[Hashable, ...], TextStream] = {}
        self._last: dict[tuple[Hashable, ...], Callable[[str], bytes]] = {}

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes, cut anywhere."""
        self._buffer += chunk
        out: list[bytes] = []
        done = 0
        for match in _END_OF_EVENT.finditer(self._buffer, self._searched):
            out += self._event(bytes(self._buffer[done : match.end()]))
            done = match.end()
        del self._buffer[:done]
        self._searched = max(0, len(self._buffer) - 3)  # the longest end of an event may be cut
        return b"".join(out)

    def rest(self) -> bytes:
        """What is held back, when no more bytes come."""
        out = self._flush(lambda _: True)
        cut = bytes(self._buffer)
        self._buffer.clear()
        return b"".join([*out, cut])

    def _event(self, raw: bytes) -> list[bytes]:
        event = _decoded(raw)
        if event is None:  # a comment, a ping, "[DONE]"
            return [*self._flush(lambda _: True), raw] if b"[DONE]" in raw else [raw]
        out: list[bytes] = []
        is_ended = ended(event)
        changed = False
        found = list(parts(event))
        for part in found:
            stream = self._texts.setdefault(part.text_id, TextStream(self._restorer))
            text = stream.feed(part.text, in_json=part.in_json)
            if is_ended is not None and is_ended(part.text_id):
                text += stream.rest()
            changed = changed or text != part.text
            part.owner[part.field] = text
            self._last[part.text_id] = lambda text, part=part: _framed(raw, part.alone(text))  # type: ignore[misc]
        if is_ended is not None:
            out = self._flush(is_ended)
        if not found and not is_signed(event):
            restored = self._restorer.value(event)
            changed, event = restored is not event, restored
        return [*out, _framed(raw, event) if changed else raw]

    def _flush(self, is_ended: Callable[[tuple[Hashable, ...]], bool]) -> list[bytes]:
        """Events with what is held back of the texts that have ended."""
        done = [text_id for text_id in self._texts if is_ended(text_id)]
        return [self._last[text_id](held) for text_id in done if (held := self._texts.pop(text_id).rest())]


class Whole:
    """A body of JSON that comes in chunks: nothing can be made of it before it is whole."""

    def __init__(self, restorer: Restorer) -> None:
        self._restorer = restorer
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        """Keep the chunk."""
        self._chunks.append(chunk)
        return b""

    def rest(self) -> bytes:
        """The whole body, restored; as it came if it is no JSON."""
        raw = b"".join(self._chunks)
        self._chunks.clear()
        try:
            body = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return raw
        restored = self._restorer.value(body)
        return raw if restored is body else encoded(restored)


def encoded(value: Any) -> bytes:
    """JSON; lone surrogates are escaped, as only the standard library does."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()


def _decoded(raw: bytes) -> Event | None:
    lines = [line[5:].removeprefix(b" ") for line in raw.splitlines() if line.startswith(b"data:")]
    try:
        event = msgspec.json.decode(b"\n".join(lines))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _framed(raw: bytes, event: Event) -> bytes:
    """The event in the frame that it came in, its other lines kept."""
    lines = [line for line in raw.splitlines() if line and not line.startswith(b"data:")]
    return b"\n".join([*lines, b"data: " + encoded(event), b"", b""])
