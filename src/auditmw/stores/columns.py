"""The one mapping between an entry and its stored columns.

A row is an entry's stored values in the order of `COLUMNS`: integers, booleans and text, JSON fields as canonical JSON
text. The SQL stores differ only in how they spell times, booleans and the writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_type_hints

import msgspec

from auditmw.canonical import MAX_INT, canonical_json
from auditmw.entry import JSON_FIELDS, AuditEntry
from auditmw.errors import PoisonEntry, StoreError
from auditmw.log.leaf import STORED_FIELDS, bind_content, leaf_hash, salted
from auditmw.stores.protocol import Batch

ColumnKind = Literal["text", "integer", "boolean", "time", "json"]

_TIMES: Final = frozenset({"timestamp_us", "logged_at_us", "stored_at_us"})
_YEAR_10000_US: Final = 253_402_300_800_000_000
_VALUES: Final[dict[ColumnKind, Any]] = {
    "text": str,
    "json": str,
    "boolean": bool,
    "integer": Annotated[int, msgspec.Meta(ge=-MAX_INT, le=MAX_INT)],
    "time": Annotated[int, msgspec.Meta(ge=0, lt=_YEAR_10000_US)],
}


def _kind_of(name: str, hint: Any) -> ColumnKind:
    if name in JSON_FIELDS:
        return "json"
    if name in _TIMES:
        return "time"
    types = {hint, *get_args(hint)}
    return "boolean" if bool in types else "integer" if int in types else "text"


_HINTS: Final = {name: hint for name, hint in get_type_hints(AuditEntry).items() if name in STORED_FIELDS}
COLUMNS: Final[dict[str, ColumnKind]] = {name: _kind_of(name, _HINTS[name]) for name in STORED_FIELDS}
"""Every stored field and what kind of column it takes."""

REQUIRED: Final = frozenset(name for name, hint in _HINTS.items() if type(None) not in get_args(hint))
"""The fields that every entry has."""

_Row: Final = msgspec.defstruct(
    "Row",
    [(name, _VALUES[kind] if name in REQUIRED else _VALUES[kind] | None) for name, kind in COLUMNS.items()],
    array_like=True,
)
_LEAF_INDEX: Final = AuditEntry.__struct_fields__.index("leaf_index")
REQUEST_ID: Final = STORED_FIELDS.index("request_id")
WRITER: Final = STORED_FIELDS.index("writer")
SEQ: Final = STORED_FIELDS.index("seq")
STORED_AT: Final = STORED_FIELDS.index("stored_at_us")


def places_of(kind: ColumnKind) -> tuple[int, ...]:
    """Where in a row the columns of this kind are."""
    return tuple(place for place, found in enumerate(COLUMNS.values()) if found == kind)


_JSON: Final = places_of("json")


class SealedContent(msgspec.Struct, frozen=True, array_like=True):
    """A prompt and an answer under lock, as an entry carries them: the ciphertext, and its key, wrapped."""

    key_id: str
    wrapped_by: str
    wrapped: bytes
    sealed: bytes

    def to_bytes(self) -> bytes:
        """The form in which an entry and its journal carry it."""
        return msgspec.msgpack.encode(self)


class BoundContent(NamedTuple):
    """The same with the salt of its commitment."""

    content: SealedContent
    salt: bytes


class Leaf(msgspec.Struct, frozen=True, gc=False):
    """An entry on its way into a store: its row, its salts, the hash that the tree takes, and its content.

    Thousands of them are there at once: the collector shall not look at each of them again and again.
    """

    row: tuple[Any, ...]
    salts: bytes
    hash: bytes
    content: BoundContent | None = None


def make_leaves(batch: Batch, first: int, stored_at_us: int, until: int | None = None) -> list[Leaf]:
    """The batch's entries from place `first` on, before `until`, as they are stored at this time, with fresh salts.

    Raises PoisonEntry for the first entry that no store could hold and give back as it was.
    """
    places = range(first, len(batch.entries) if until is None else min(until, len(batch.entries)))
    try:
        rows = [_to_row(batch, place, stored_at_us) for place in places]
        return _leaves(rows, [batch.entries[place].content for place in places])
    except Exception:
        return [_leaf(batch, place, stored_at_us) for place in places]


def content_rows(leaves: Sequence[Leaf], first: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What the tables of data keys and of contents hold of these leaves, the first of which has this leaf index."""
    found = [(index, *leaf.content) for index, leaf in enumerate(leaves, first) if leaf.content is not None]
    keys = {content.key_id: (content.key_id, content.wrapped_by, content.wrapped) for _, content, _ in found}
    return list(keys.values()), [(index, content.key_id, salt, content.sealed) for index, content, salt in found]


def to_row(entry: AuditEntry) -> list[Any]:
    """The entry's values as they are stored."""
    values = list(msgspec.structs.astuple(entry))
    del values[_LEAF_INDEX:]
    for place in _JSON:
        if values[place] is not None:
            values[place] = canonical_json(values[place]).decode()
    return values


def to_entry(row: Sequence[Any], leaf_index: int) -> AuditEntry:
    """The entry of a stored row."""
    values = list(row)
    for place in _JSON:
        if values[place] is not None:
            values[place] = _parse(values[place], STORED_FIELDS[place], leaf_index)
    values.insert(_LEAF_INDEX, leaf_index)
    return AuditEntry(*values)


def _leaves(rows: list[tuple[Any, ...]], contents: Sequence[bytes | None]) -> list[Leaf]:
    msgspec.convert(rows, list[_Row])  # type: ignore[valid-type]  # a struct made at run time
    leaves = [Leaf(row, *sealed) for row, sealed in zip(rows, salted(rows), strict=True)]
    return list(map(_with_content, leaves, contents)) if any(contents) else leaves


def _with_content(leaf: Leaf, content: bytes | None) -> Leaf:
    if content is None:
        return leaf
    sealed = msgspec.msgpack.decode(content, type=SealedContent)
    salts, salt = bind_content(leaf.salts, sealed.sealed)
    return Leaf(leaf.row, salts, leaf_hash(leaf.row, salts), BoundContent(sealed, salt))


def _to_row(batch: Batch, place: int, stored_at_us: int) -> tuple[Any, ...]:
    values = to_row(batch.entries[place])
    values[WRITER] = batch.writer
    values[SEQ] = batch.first_seq + place
    values[STORED_AT] = stored_at_us
    return tuple(values)


def _leaf(batch: Batch, place: int, stored_at_us: int) -> Leaf:
    try:
        return _leaves([_to_row(batch, place, stored_at_us)], [batch.entries[place].content])[0]
    except Exception as error:
        raise PoisonEntry(f"entry {batch.entries[place].request_id!r} cannot be stored: {error}", place) from error


def _parse(text: str, name: str, leaf_index: int) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"{name} of entry {leaf_index} is not JSON, so it was changed: run `auditmw verify`"
        ) from error
