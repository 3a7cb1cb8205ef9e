"""A body as one text: everything in it that can be read, laid out so that one scan sees all of it.

Keys and numbers are texts too. A value stands behind its key, so that `{"password": "..."}` reads like what it means.
Texts are set apart by a mark that no pattern crosses, and those that a provider joins follow once more, joined.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import uuid
from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, NamedTuple

from auditmw.sanitizing.borders import Leaf, head, neighbours, tail
from auditmw.sanitizing.records import fields_of
from auditmw.sanitizing.untouched import FREE, SIGNED, is_credential, is_untouched
from auditmw.sanitizing.vocabulary import FIELDS, WORDS

APART: Final = "\n\x00\n"
SHORTEST_NUMBER: Final = 10**6
"""Numbers below are never scanned: no kind has so few digits, and limits and counts are such numbers."""
_JSON_FIELDS: Final = frozenset({"arguments", "partial_json"})
_SCALARS: Final = (
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    uuid.UUID,
    pathlib.PurePath,
    complex,
)
Form = Literal["text", "json", "utf-8", "latin-1"]
"""What a text is: itself, JSON inside a string, or bytes in that encoding."""


class Segment(NamedTuple):
    """One text of the body: where it lies in the document, and where in the body."""

    start: int
    end: int
    holder: Any
    slot: Any
    is_key: bool
    form: Form


class Piece(NamedTuple):
    """A part of a segment, laid out once more beside its neighbours."""

    start: int
    end: int
    segment: int
    offset: int


class Document:
    """All texts of a body. The body is only read; nothing of it is copied but its texts.

    `clean_models` are names of models in which nothing was found before: they need not be read again.
    """

    def __init__(self, body: Any, clean_models: Container[str] = ()) -> None:
        self._clean_models = clean_models
        self.root: list[Any] = [body]
        self.containers: list[Any] = []
        """What was walked through, parents first; kept, so that ids stay theirs."""
        self.stand_ins: dict[int, Any] = {}
        """Snapshots of containers that are neither lists nor dicts, by the id of what they stand for."""
        self.segments: list[Segment] = []
        self.pieces: list[Piece] = []
        self.not_scanned = 0
        """How many blocks and texts were left out: signed, encrypted, pictures, credentials."""
        self.unreadable: list[str] = []
        """The types of objects that cannot be read."""
        self._parts: list[str] = []
        self._position = 0
        self._seen: set[int] = set()
        self._handled: set[int] = set()
        self._runs: list[list[Leaf]] = []
        self._todo: list[tuple[Any, bool]] = []
        self._enter(self.root, free=False)
        while self._todo:
            self._visit(*self._todo.pop())
        self.body_end = self._position
        if self._runs:
            self._add_borders()
        self.text = "".join(self._parts)

    def text_of(self, segment: Segment) -> str:
        """The text of a segment."""
        return self.text[segment.start : segment.end]

    def _enter(self, container: Any, *, free: bool) -> None:
        if id(container) not in self._seen:
            self._seen.add(id(container))
            self.containers.append(container)
            self._todo.append((container, free))

    def _visit(self, container: Any, free: bool) -> None:
        if isinstance(container, dict):
            self._mapping(container, container, free)
        elif isinstance(container, (set, frozenset)):
            for item in container:
                self._value(container, item, None, item, free)
        elif isinstance(container, (list, tuple)):
            if not free and type(container) is list and id(container) not in self._handled:
                self._runs += neighbours(container, self._handled)
            for index, item in enumerate(container):
                self._value(container, index, None, item, free)
        else:
            self._mapping(container, fields_of(container) or {}, free)

    def _mapping(self, holder: Any, fields: Mapping[Any, Any], free: bool) -> None:
        kind = fields.get("type")
        if not free and isinstance(kind, str) and kind in SIGNED:
            self.not_scanned += 1
            return
        for field, item in fields.items():
            if field in FIELDS:
                if type(item) is not str or not (item in WORDS or (field == "model" and item in self._clean_models)):
                    self._value(holder, field, None, item, free or _is_free(field, kind))
            elif not free and (is_credential(fields, field) or is_untouched(fields, field, item)):
                self.not_scanned += 1
            else:
                name = field if isinstance(field, str) else str(field)
                if name:
                    self._add(APART + '"', holder, field, name, "text", is_key=True)
                self._value(holder, field, name, item, free or _is_free(field, kind))

    def _value(self, holder: Any, slot: Any, name: str | None, item: Any, free: bool) -> None:
        kind = type(item)
        if kind is str:
            if item:
                before = APART if name is None else '": "'
                self._add(before, holder, slot, item, "json" if slot in _JSON_FIELDS else "text")
                if name is not None:
                    self._put('"')
        elif kind is dict or kind is list:
            self._enter(item, free=free)
        elif kind is int or kind is float:
            if not -SHORTEST_NUMBER < item < SHORTEST_NUMBER:
                self._add(APART if name is None else '": ', holder, slot, _digits(item), "text")
        elif item is not None and kind is not bool:
            self._other(holder, slot, name, item, free)

    def _other(self, holder: Any, slot: Any, name: str | None, item: Any, free: bool) -> None:
        if isinstance(item, enum.Enum) and isinstance(item.value, (str, int, float)):
            self._value(holder, slot, name, item.value, free)
        elif isinstance(item, str):
            self._value(holder, slot, name, str.__str__(item), free)
        elif isinstance(item, (int, float)):
            self._value(holder, slot, name, int(item) if isinstance(item, int) else float(item), free)
        elif isinstance(item, (bytes, bytearray, memoryview)):
            text, form = _decoded(bytes(item))
            self._add(APART if name is None else '": ', holder, slot, text, form)
        elif isinstance(item, _SCALARS):
            self._value(holder, slot, name, str(item), free)
        elif isinstance(item, (dict, list, tuple, set, frozenset)) or fields_of(item) is not None:
            self._enter(item, free=free)
        elif isinstance(item, (Mapping, Sequence, AbstractSet)):
            if id(item) not in self.stand_ins:
                self._seen.add(id(item))
                self.containers.append(item)
                self.stand_ins[id(item)] = dict(item) if isinstance(item, Mapping) else list(item)
                self._enter(self.stand_ins[id(item)], free=free)
        else:
            self.unreadable.append(type(item).__qualname__)

    def _add(self, before: str, holder: Any, slot: Any, text: str, form: Form, *, is_key: bool = False) -> None:
        start = self._position + len(before)
        self._position = end = start + len(text)
        self._parts += (before, text)
        self.segments.append(Segment(start, end, holder, slot, is_key, form))

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._position += len(text)

    def _add_borders(self) -> None:
        places = {(id(s.holder), s.slot): index for index, s in enumerate(self.segments) if not s.is_key}
        so_far = "".join(self._parts)
        for run in self._runs:
            members = [places[leaf] for leaf in run if leaf in places]
            self._put(APART)
            for number, index in enumerate(members):
                segment = self.segments[index]
                text = so_far[segment.start : segment.end]
                begin = 0 if number else tail(text)
                end = len(text) if number < len(members) - 1 else head(text)
                cut_from, cut_to = head(text), tail(text)
                if begin < cut_from < cut_to < end:
                    self._piece(index, text, begin, cut_from)
                    self._put(APART)
                    begin = cut_to
                self._piece(index, text, begin, end)

    def _piece(self, index: int, text: str, begin: int, end: int) -> None:
        self.pieces.append(Piece(self._position, self._position + end - begin, index, begin))
        self._put(text[begin:end])


def _is_free(field: Any, kind: Any) -> bool:
    if field == "input":
        return isinstance(kind, str) and kind.endswith("tool_use")
    return field in FREE


def _digits(number: float) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than the interpreter writes
        return f"{number:x}"


def _decoded(data: bytes) -> tuple[str, Form]:
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"
