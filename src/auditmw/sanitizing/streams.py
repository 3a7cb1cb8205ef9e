"""Restores an answer on its way to the caller: server-sent events, a body of JSON, an iterator's texts."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import msgspec

from auditmw.sanitizing.deltas import Ends, Part, ended, is_signed, parts
from auditmw.sanitizing.framings import Framing
from auditmw.sanitizing.restoring import Restorer, TextStream
from auditmw.sanitizing.structured import ANSWERS
from auditmw.wire import wire_json


class EventStream:
    """Bytes of a stream of events in, the same with the values restored out, in whole events."""

    def __init__(self, restorer: Restorer, framing: Framing) -> None:
        self._restorer = restorer
        self._framing = framing
        self._buffer = bytearray()
        self._texts: dict[tuple[Hashable, ...], TextStream] = {}
        self._last: dict[tuple[Hashable, ...], Callable[[str], bytes]] = {}

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes, cut anywhere."""
        self._buffer += chunk
        return b"".join([piece for frame in self._framing.cut(self._buffer) for piece in self._event(frame)])

    def rest(self) -> bytes:
        """What is held back, when no more bytes come."""
        out = self._flush(lambda _: True)
        cut = bytes(self._buffer)
        self._buffer.clear()
        return b"".join([*out, cut])

    def _event(self, frame: bytes) -> list[bytes]:
        event = self._framing.event(frame)
        if event is None:  # a comment, a ping, "[DONE]"
            return [*self._flush(lambda _: True), frame] if b"[DONE]" in frame else [frame]
        is_ended = ended(event)
        found = list(parts(event))
        changed = False
        for part in found:
            changed = self._restore_part(frame, part, is_ended) or changed
        if not found and not is_signed(event):
            restored = self._restorer.value(event)
            changed, event = restored is not event, restored
        held = [] if is_ended is None else self._flush(is_ended)
        return [*held, self._framing.framed(frame, event) if changed else frame]

    def _restore_part(self, frame: bytes, part: Part, is_ended: Ends | None) -> bool:
        """Restore a part in its event; whether that has changed it."""
        stream = self._texts.setdefault(part.text_id, TextStream(self._restorer))
        in_json = part.in_json or (self._restorer.json_answers and part.field in ANSWERS)
        text = stream.feed(part.text, in_json=in_json)
        if is_ended is not None and is_ended(part.text_id):
            text += stream.rest()
        part.owner[part.field] = text
        self._last[part.text_id] = lambda held: self._framing.framed(frame, part.alone(held))
        return text != part.text

    def _flush(self, is_ended: Ends) -> list[bytes]:
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
        return raw if restored is body else wire_json(restored)
