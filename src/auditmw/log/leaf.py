"""The leaf of an entry: what its place in the tree commits to, computed from the values as they are stored.

The core lies openly in the leaf. Every other field class is there only as a salted commitment, so that its values and
its salt can be removed without changing the leaf.

The functions take an entry's stored values: `STORED_FIELDS` in order, the JSON fields as the text that is stored. The
leaf is RFC 8785 JSON: its keys are ASCII and in order, its values text, integers and booleans, which msgspec writes as
the standard asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from auditmw.entry import CORE_FIELDS, FIELD_CLASSES, AuditEntry
from auditmw.errors import EvidenceError
from auditmw.log.commitment import SALT_BYTES, commit, commitment_prefix
from auditmw.log.merkle import leaf_hash as hash_leaf

STORED_FIELDS: Final[tuple[str, ...]] = tuple(
    n for n in AuditEntry.__struct_fields__ if n not in {"leaf_index", "content"}
)
"""What a row holds of an entry; its leaf index is its place, its content lies in a table of its own."""

CLASS_VERSION: Final = 1
_EMPTY_SLOT: Final = bytes(SALT_BYTES)


def _canonical_object(fields: tuple[str, ...]) -> type[msgspec.Struct]:
    """A struct whose JSON is the canonical object of these fields, None ones left out."""
    members = [(name, Any, None) for name in sorted(fields)]
    return msgspec.defstruct("CanonicalObject", members, omit_defaults=True, gc=False)


def values_at(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Gives what a row has at these places: as `itemgetter`, which gives no tuple for one place and takes no less."""
    return itemgetter(*places) if len(places) > 1 else lambda row: tuple([row[place] for place in places])


def _values_of(fields: Iterable[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    return values_at([STORED_FIELDS.index(name) for name in sorted(fields)])


class FieldClass(NamedTuple):
    """One erasable class: its name, its slot among the salts, its bit in `erased`, what its commitments begin with."""

    name: str
    number: int
    slot: slice
    bit: int
    prefix: bytes
    values_of: Callable[[Sequence[Any]], tuple[Any, ...]]
    object: type[msgspec.Struct]
    nothing: tuple[None, ...]


CLASSES: Final[tuple[FieldClass, ...]] = tuple(
    FieldClass(
        name=name,
        number=number,
        slot=slice(number * SALT_BYTES, (number + 1) * SALT_BYTES),
        bit=1 << number,
        prefix=commitment_prefix(name, CLASS_VERSION),
        values_of=_values_of(fields),
        object=_canonical_object(fields),
        nothing=(None,) * len(fields),
    )
    # content lies in a table of its own, with its salt; its slot here always holds the commitment
    for number, (name, fields) in enumerate({**FIELD_CLASSES, "content": ()}.items())
)
SALTS_BYTES: Final = SALT_BYTES * len(CLASSES)
"""The length of a row's salts."""

CONTENT: Final = CLASSES[-1]
"""The class whose values lie in a table of their own."""

_BY_NAME: Final = sorted(CLASSES, key=lambda field_class: field_class.name)
_WITH_VALUES: Final = [field_class for field_class in _BY_NAME if field_class is not CONTENT]
_COMMITMENTS: Final = "commitments"
_before_commitments = _values_of([name for name in CORE_FIELDS if name < _COMMITMENTS])
_after_commitments = _values_of([name for name in CORE_FIELDS if name > _COMMITMENTS])
_CoreObject = _canonical_object((*CORE_FIELDS, _COMMITMENTS))
_encode = msgspec.json.Encoder().encode


def salted(rows: Sequence[Sequence[Any]]) -> list[tuple[bytes, bytes]]:
    """Fresh salts for each of these rows of stored values, zero where a class is empty, and its leaf hash.

    In one go, since `leaf_hash` would look at each class again, to check what it is given.
    """
    random = os.urandom(SALTS_BYTES * len(rows))
    return [_salted(values, random[n * SALTS_BYTES : (n + 1) * SALTS_BYTES]) for n, values in enumerate(rows)]


def _salted(values: Sequence[Any], drawn: bytes) -> tuple[bytes, bytes]:
    slots, found = [_EMPTY_SLOT] * len(CLASSES), {}
    for field_class in _WITH_VALUES:
        own = field_class.values_of(values)
        if own != field_class.nothing:
            salt = slots[field_class.number] = drawn[field_class.slot]
            canonical = _encode(field_class.object(*own))
            found[field_class.name] = sha256(field_class.prefix + salt + canonical).hexdigest()
    return b"".join(slots), hash_leaf(_core_bytes(values, found))


def bind_content(salts: bytes, sealed: bytes) -> tuple[bytes, bytes]:
    """The salts of an entry that has this sealed content, and the content's own salt, to be kept beside it."""
    salt = os.urandom(SALT_BYTES)
    return salts[: CONTENT.slot.start] + content_commitment(salt, sealed), salt


def content_commitment(salt: bytes, sealed: bytes) -> bytes:
    """The commitment to sealed content; raises EvidenceError for a salt of another length."""
    return commit(CONTENT.name, CLASS_VERSION, salt, sealed)


def leaf_bytes(values: Sequence[Any], salts: bytes, erased: int = 0) -> bytes:
    """The canonical JSON that the leaf hash covers.

    `erased` has the bit of each class whose values are gone and whose slot holds the commitment instead of the salt.
    Raises EvidenceError where values, salts and `erased` contradict each other.
    """
    if len(salts) != SALTS_BYTES or erased >> len(CLASSES):
        raise EvidenceError(f"salts of {len(salts)} bytes and erased = {erased} are not what auditmw writes")
    return _core_bytes(values, _commitments(values, salts, erased))


def leaf_hash(values: Sequence[Any], salts: bytes, erased: int = 0) -> bytes:
    """The entry's leaf in the tree; raises as `leaf_bytes` does."""
    return hash_leaf(leaf_bytes(values, salts, erased))


def class_bytes(field_class: FieldClass, values: Sequence[Any]) -> bytes:
    """The canonical JSON of one class's values that its commitment covers."""
    return _encode(field_class.object(*field_class.values_of(values)))


def present(values: Sequence[Any], salts: bytes, erased: int) -> int:
    """The bits of the classes that an entry has and that are not erased."""
    filled = sum(c.bit for c in CLASSES if _is_filled(c, values))
    return (filled | (CONTENT.bit if salts[CONTENT.slot] != _EMPTY_SLOT else 0)) & ~erased


def erase(values: Sequence[Any], salts: bytes, erased: int, classes: int) -> tuple[bytes, int]:
    """The salts and the `erased` of an entry that lost these classes (bits); those that it has not are left alone.

    The commitment takes the salt's place, so that the leaf stays what it was and the values cannot be guessed from it.
    """
    going = classes & present(values, salts, erased)
    slots = []
    for field_class in CLASSES:
        slot = salts[field_class.slot]
        if going & field_class.bit and field_class is not CONTENT:
            slot = commit(field_class.name, CLASS_VERSION, slot, class_bytes(field_class, values))
        slots.append(slot)
    return b"".join(slots), erased | going


def _core_bytes(values: Sequence[Any], commitments: dict[str, str]) -> bytes:
    return _encode(_CoreObject(*_before_commitments(values), commitments or None, *_after_commitments(values)))


def _commitments(values: Sequence[Any], salts: bytes, erased: int) -> dict[str, str]:
    found = {}
    for field_class in _BY_NAME:
        slot = salts[field_class.slot]
        own = field_class.values_of(values)
        filled = own != field_class.nothing
        if erased & field_class.bit:
            if filled:
                raise EvidenceError(f"the class {field_class.name} is marked erased and has values")
            found[field_class.name] = slot.hex()
        elif filled:
            canonical = _encode(field_class.object(*own))
            found[field_class.name] = commit(field_class.name, CLASS_VERSION, slot, canonical).hex()
        elif slot != _EMPTY_SLOT and field_class is CONTENT:
            found[field_class.name] = slot.hex()
        elif slot != _EMPTY_SLOT:
            raise EvidenceError(f"the class {field_class.name} is empty and has a salt")
    return found


def _is_filled(field_class: FieldClass, values: Sequence[Any]) -> bool:
    return field_class.values_of(values) != field_class.nothing
