"""Checks one run of stored entries by itself: leaves recomputed, places, writers, numbers, checkpoints' signatures.

It needs nothing of the entries before, so that several processes can each examine their part of a trail. What must be
seen in order is for `auditmw.log.verify`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from auditmw.entry import KINDS, SCHEMA_VERSION
from auditmw.errors import EvidenceError, UnknownSigner
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.findings import Finding, about_entry, about_run, runs
from auditmw.log.keys import Verifier
from auditmw.log.leaf import CLASSES, CONTENT, STORED_FIELDS, leaf_hash
from auditmw.log.merkle import HASH_BYTES
from auditmw.log.note import Note

_PLACE: Final = {name: place for place, name in enumerate(STORED_FIELDS)}
_V, _KIND, _ACTION = _PLACE["v"], _PLACE["kind"], _PLACE["action"]
_WRITER, _SEQ, _STORED_AT = _PLACE["writer"], _PLACE["seq"], _PLACE["stored_at_us"]
_REQUEST_ID, _METADATA, _HASH_KEY = _PLACE["request_id"], _PLACE["metadata"], _PLACE["hash_key_id"]
BARE: Final = 1 << len(CLASSES)
"""Beside the bits of the erased classes: that no class is left."""
_METADATA_BIT: Final = next(c.bit for c in CLASSES if c.name == "metadata")
_NO_HASH: Final = bytes(HASH_BYTES)
_HASH_CHANGED: Final = "was changed: its stored values do not give its leaf hash"


class Row(NamedTuple):
    """An entry as it is stored: `values` in the order of `STORED_FIELDS`, None where they cannot be read.

    `restricted` names the erasure for which queries leave it out.
    """

    leaf_index: int
    salts: bytes
    erased: int
    values: Sequence[Any] | None
    restricted: str | None = None


class StoredBatch(NamedTuple):
    """Consecutive leaves that one transaction added: whose they are, their numbers, and their hashes concatenated."""

    first_leaf: int
    writer: str | None
    first_seq: int
    entry_count: int
    hashes: bytes


class Chunk(NamedTuple):
    """All that a store holds about the leaves from `first` to before `until`, each list in its order.

    `batches` are those that overlap it, `tiles` the roots of the full tiles that end in it, `checkpoints` the size and
    the text of those whose size is above `first` and at most `until`. `tiles` is None in a store without a tree.
    `contents` are the commitments to the sealed contents that are stored, by leaf.
    """

    first: int
    until: int
    rows: Sequence[Row]
    batches: Sequence[StoredBatch]
    tiles: Mapping[int, bytes] | None
    checkpoints: Sequence[tuple[int, str]]
    contents: Mapping[int, bytes] = {}


class Control(NamedTuple):
    """An entry about the trail itself, as far as a verifier needs it."""

    leaf_index: int
    writer: str | None
    action: str | None
    metadata: Mapping[str, Any]


class Head(NamedTuple):
    """A checkpoint of the trail, and those of the trusted keys that signed it; none if it is not signed."""

    checkpoint: Checkpoint
    keys: tuple[str, ...]
    note: str

    @property
    def is_signed(self) -> bool:
        """Whether anybody signed it."""
        return "\n\n" in self.note


class Examined(NamedTuple):
    """What is left of a chunk for the checks in order.

    `hashes` are the stored leaf hashes: where an entry does not give its own, that is a finding, and the others can
    still be held against the signed roots. `sequences` are runs of (writer, first number, count) in leaf order.
    `erased` are the entries that lost classes or are restricted: leaf, bits (see `BARE`), and by which erasure.
    """

    first: int
    hashes: list[bytes]
    stored_at: array[int]
    sequences: list[tuple[str | None, int, int]]
    controls: list[Control]
    erased: list[tuple[int, int, str | None]]
    unknown: list[int]
    hash_keys: set[str]
    tiles: Mapping[int, bytes] | None
    heads: list[Head]
    findings: list[Finding]


def examine(chunk: Chunk, verifiers: Sequence[Verifier] = ()) -> Examined:
    """Check a chunk by itself."""
    findings: list[Finding] = []
    expected = _expected(chunk, findings)
    rows = _placed(chunk, findings)
    hashes: list[bytes] = []
    stored_at = array("q")
    controls, erased, unknown, hash_keys = [], [], [], set()
    for (writer, seq, stored), row in zip(expected, rows, strict=True):
        values = None if row is None else row.values
        if row is None or values is None:
            hashes.append(stored or _NO_HASH)
            stored_at.append(stored_at[-1] if stored_at else 0)
            continue
        try:
            found = leaf_hash(values, row.salts, row.erased)
        except (EvidenceError, TypeError, ValueError, OverflowError) as error:
            findings.append(_about(row, "changed", f"was changed: {error}"))
            found = stored or _NO_HASH
        else:
            if found != stored and stored is not None:
                findings.append(_about(row, "changed", _HASH_CHANGED))
            elif stored is not None and (values[_WRITER] != writer or values[_SEQ] != seq):
                findings.append(_about(row, "number", f"has not the number that its batch gives it, {writer} {seq}"))
            elif (content := _content_finding(row, chunk.contents.get(row.leaf_index))) is not None:
                findings.append(content)
        hashes.append(stored or found)
        stored_at.append(moment if _is_time(moment := values[_STORED_AT]) else 0)
        if values[_KIND] == "control":
            controls.append(_control(row, values))
        if row.erased or row.restricted is not None:
            mask = row.erased | (BARE if _is_bare(row, values) else 0)
            erased.append((row.leaf_index, mask, row.restricted))
        if values[_V] != SCHEMA_VERSION or values[_KIND] not in KINDS:
            unknown.append(row.leaf_index)
        hash_keys.add(values[_HASH_KEY])
    return Examined(
        first=chunk.first,
        hashes=hashes,
        stored_at=stored_at,
        sequences=_sequences(rows, expected),
        controls=controls,
        erased=erased,
        unknown=unknown,
        hash_keys=hash_keys - {None},
        tiles=chunk.tiles,
        heads=_heads(chunk.checkpoints, verifiers, findings),
        findings=findings,
    )


def _is_bare(row: Row, values: Sequence[Any]) -> bool:
    """Whether nothing can be removed any more: metadata of the trail's own entries stay."""
    gone = row.erased | (_METADATA_BIT if values[_KIND] == "control" else 0)
    return all(gone & c.bit or row.salts[c.slot] == _NO_HASH for c in CLASSES)


def _content_finding(row: Row, stored: bytes | None) -> Finding | None:
    """What is wrong with the content that lies beside an entry."""
    slot = row.salts[CONTENT.slot]
    expected = None if row.erased & CONTENT.bit or slot == _NO_HASH else slot
    if stored == expected:
        return None
    what = "lacks its content" if stored is None else "has content that is not its own"
    return _about(row, "content", f"{what}, and no entry says why")


def read_head(text: str, verifiers: Sequence[Verifier]) -> Head:
    """A checkpoint, signed or not, and the trusted keys that signed it.

    Raises EvidenceError where it is malformed, or where the signature of a trusted key is wrong.
    """
    if "\n\n" not in text:
        return Head(Checkpoint.from_text(text), (), text)
    note = Note.from_text(text)
    checkpoint = Checkpoint.from_text(note.text)
    try:
        signed = note.verify(verifiers)
    except UnknownSigner:
        signed = []
    return Head(checkpoint, tuple(key.to_text() for key in signed if key.name == checkpoint.origin), text)


_Expected = tuple[str | None, int, bytes | None]


def _expected(chunk: Chunk, findings: list[Finding]) -> list[_Expected]:
    """The writer, the number and the leaf hash that the batches give to each place; no hash where no batch does."""
    expected: list[_Expected] = []
    for batch in chunk.batches:
        at = chunk.first + len(expected)
        if batch.entry_count < 1 or len(batch.hashes) != batch.entry_count * HASH_BYTES or batch.writer is None:
            findings.append(about_run("batch", at, at, "begins a batch whose count, hashes or writer were changed"))
            continue
        if batch.first_leaf > at:
            findings.append(about_run("batch", at, batch.first_leaf - 1, "lies in no batch: a batch was removed"))
            missing = min(batch.first_leaf, chunk.until) - at
            expected += [(None, 0, None)] * missing
            at += missing
        elif batch.first_leaf < at and expected:
            findings.append(about_run("batch", at, at, "lies in two batches: one was added or changed"))
        skip = at - batch.first_leaf
        expected += [
            (batch.writer, batch.first_seq + place, batch.hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES])
            for place in range(skip, min(batch.entry_count, chunk.until - batch.first_leaf))
        ]
    lacking = chunk.until - chunk.first - len(expected)
    if lacking:
        findings.append(about_run("batch", chunk.until - lacking, chunk.until - 1, "lies in no batch: one was removed"))
    return expected + [(None, 0, None)] * lacking


def _placed(chunk: Chunk, findings: list[Finding]) -> list[Row | None]:
    """The rows at their places, None where one is missing."""
    places = range(chunk.first, chunk.until)
    unreadable = "was changed: its values cannot be read"
    findings += [_about(row, "changed", unreadable) for row in chunk.rows if row.values is None]
    if [row.leaf_index for row in chunk.rows] == list(places):
        return list(chunk.rows)
    by_index: dict[int, Row] = {}
    for row in chunk.rows:
        if row.leaf_index in by_index or row.leaf_index not in places:
            findings.append(_about(row, "extra", "is there twice, or where no entry belongs"))
        by_index[row.leaf_index] = row
    missing = [index for index in places if index not in by_index]
    findings += [about_run("missing", first, last, "is missing") for first, last in runs(missing)]
    return [by_index.get(index) for index in places]


def _sequences(rows: Sequence[Row | None], expected: Sequence[_Expected]) -> list[tuple[str | None, int, int]]:
    """The writers' numbers as stored; where one is missing, that is a finding already, and its batch counts."""
    found: list[tuple[str | None, int, int]] = []
    writer, first, count = None, 0, 0
    for row, (batch_writer, batch_seq, _) in zip(rows, expected, strict=True):
        values = None if row is None else row.values
        readable = values is not None and type(values[_SEQ]) is int
        at = (values[_WRITER], values[_SEQ]) if values is not None and readable else (batch_writer, batch_seq)
        if at == (writer, first + count):
            count += 1
            continue
        if count:
            found.append((writer, first, count))
        (writer, first), count = at, 1
    return [*found, (writer, first, count)]


def _is_time(value: Any) -> bool:
    return type(value) is int and value.bit_length() < 64


def _control(row: Row, values: Sequence[Any]) -> Control:
    try:
        metadata = msgspec.json.decode(values[_METADATA], type=dict[str, Any])
    except (msgspec.MsgspecError, TypeError):  # it has none; or its leaf is wrong, unless the writer wrote this
        metadata = {}
    return Control(row.leaf_index, values[_WRITER], values[_ACTION], metadata)


def _heads(stored: Sequence[tuple[int, str]], verifiers: Sequence[Verifier], findings: list[Finding]) -> list[Head]:
    heads = []
    for size, text in stored:
        try:
            head = read_head(text, verifiers)
        except EvidenceError as error:
            findings.append(Finding("checkpoint", f"the checkpoint at {size} entries was changed: {error}"))
            continue
        if head.checkpoint.size != size:
            message = f"the checkpoint stored for {size} entries is one of {head.checkpoint.size}: it was changed"
            findings.append(Finding("checkpoint", message))
            continue
        heads.append(head)
    return heads


def _about(row: Row, kind: str, what: str) -> Finding:
    name = None if row.values is None else row.values[_REQUEST_ID]
    return about_entry(kind, row.leaf_index, name if isinstance(name, str) else None, what)
