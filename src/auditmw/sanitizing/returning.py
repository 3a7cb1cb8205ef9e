"""What the sanitizer does to an answer on its way to the caller (see `Call.on_chunk`)."""

from __future__ import annotations

from typing import Any

from auditmw.call import Call
from auditmw.sanitizing.framings import BinaryFrames, ServerSentEvents
from auditmw.sanitizing.restoring import Restorer, TextStream
from auditmw.sanitizing.streams import EventStream, Whole
from auditmw.sanitizing.structured import asks_for_json
from auditmw.sanitizing.tokens import Tokens


class Returning:
    """Restores the tokens of one request in its answer, in whatever form that comes."""

    def __init__(self, call: Call, tokens: Tokens) -> None:
        self._call = call
        self._restorer = Restorer(tokens, json_answers=asks_for_json(call.request))
        self._bytes: EventStream | Whole | None = None
        self._texts: TextStream | None = None

    def __call__(self, item: Any) -> Any:
        """A chunk of bytes, an item of an iterator, or a whole answer."""
        if isinstance(item, bytes):
            reader = self._bytes or self._reader()
            return item if reader is None else reader.feed(item)
        if isinstance(item, str) and self._call.stream:
            self._texts = self._texts or TextStream(self._restorer)
            return self._texts.feed(item)
        return self._restorer.value(item)

    def rest(self) -> Any:
        """What is held back when the answer has ended; None if nothing is."""
        if self._bytes is not None:
            return self._bytes.rest() or None
        return None if self._texts is None else self._texts.rest() or None

    def _reader(self) -> EventStream | Whole | None:
        content_type = self._call.content_type or ""
        if content_type.startswith("text/event-stream"):
            self._bytes = EventStream(self._restorer, ServerSentEvents())
        elif content_type.startswith("application/vnd.amazon.eventstream"):
            self._bytes = EventStream(self._restorer, BinaryFrames())
        elif "json" in content_type:
            self._bytes = Whole(self._restorer)
        return self._bytes
