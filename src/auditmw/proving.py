"""Makes the proof of one entry out of a stored trail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from auditmw.errors import ConfigurationError, EvidenceError, NotCovered, NotSigned
from auditmw.keys import HashKey
from auditmw.log.disclosure import (
    DIGESTS,
    FORMAT,
    Content,
    Disclosed,
    EntryProof,
    disclose,
    disclose_content,
)
from auditmw.log.examine import Row, examine, read_head
from auditmw.log.leaf import CONTENT, leaf_bytes
from auditmw.log.merkle import inclusion_proof
from auditmw.log.proof import Proof
from auditmw.log.tiles import TILE_WIDTH, tile_nodes, tiles_needed
from auditmw.stores.evidence import EvidenceReader, SealedItem, TreeReader, as_tree, read_evidence


class Stored(NamedTuple):
    """An entry as it is stored, and its place."""

    leaf_index: int
    row: Row
    values: Sequence[Any]


def prove_entry(
    url: str,
    request_id: str,
    classes: Sequence[str] = (),
    content: tuple[bytes, HashKey] | None = None,
) -> EntryProof:
    """Prove the entry under the newest signed checkpoint, showing the core and these field classes.

    `content` is a text that was sent or received, as JSON or plain, and the trail's digest key: the digests are shown
    then, and the text with them. The class `content` is shown as it lies under lock: nobody reads it without its key.

    Raises:
        ConfigurationError: no such entry, or a store without a tree.
        NotCovered: no checkpoint covers the entry yet.
        NotSigned: those that cover it are not signed, so that a proof would show nothing.
        EvidenceError: the entry was changed, a class was erased, or the content is not of this entry.
    """

    def work(reader: EvidenceReader) -> tuple[Stored, Proof, SealedItem | None]:
        tree = as_tree(reader)
        stored = _stored(tree, request_id)
        note = tree.newest_signed()
        size = _size(note)
        if note is None or size <= stored.leaf_index:
            raise NotSigned if _size(tree.newest_checkpoint()) > stored.leaf_index else NotCovered
        sealed = tree.content(stored.leaf_index) if CONTENT.name in classes else None
        return stored, Proof(stored.leaf_index, tuple(_path(tree, stored.leaf_index, size)), note), sealed

    stored, proof, sealed = read_evidence(url, work)
    leaf = leaf_bytes(stored.values, stored.row.salts, stored.row.erased)
    names = [*classes, *(["digests"] if content and "digests" not in classes else [])]
    disclosed = disclose(stored.values, stored.row.salts, stored.row.erased, names)
    if sealed is not None:
        disclosed[CONTENT.name] = disclose_content(*sealed)
    found = None if content is None else _content(*content, disclosed)
    entry = EntryProof(FORMAT, leaf.decode(), proof.to_text(), disclosed, found)
    entry.check_path()
    return entry


def _stored(reader: TreeReader, request_id: str) -> Stored:
    leaf_index = reader.find(request_id)
    if leaf_index is None:
        raise ConfigurationError(f"no entry has the id {request_id}: `auditmw query` shows which there are")
    chunk = reader.chunk(leaf_index, leaf_index + 1)
    findings = examine(chunk._replace(checkpoints=())).findings
    if findings:
        raise EvidenceError(findings[0].message)
    row = chunk.rows[0]
    assert row.values is not None  # noqa: S101  (else there is a finding)
    return Stored(leaf_index, row, row.values)


def _size(note: str | None) -> int:
    """How many entries a checkpoint covers."""
    return 0 if note is None else read_head(note, ()).checkpoint.size


def _path(reader: TreeReader, leaf_index: int, size: int) -> list[bytes]:
    roots = reader.tile_roots(size // TILE_WIDTH)
    tiles = {
        number: reader.leaf_hashes(number * TILE_WIDTH, min(number * TILE_WIDTH + TILE_WIDTH, size))
        for number in tiles_needed(leaf_index, size)
    }
    return inclusion_proof(leaf_index, size, tile_nodes(roots, tiles))


def _content(data: bytes, key: HashKey, disclosed: dict[str, Disclosed]) -> Content:
    digests = msgspec.json.decode(disclosed["digests"].values, type=dict[str, str]) if "digests" in disclosed else {}
    for value in _forms(data):
        digest = key.digest(value)
        for name in DIGESTS:
            if digests.get(name) == digest:
                return Content(name, value)
    raise EvidenceError("the content is not what was sent or received: none of the entry's digests was made of it")


def _forms(data: bytes) -> Iterator[Any]:
    """What a file may stand for: JSON as it is; a text as a prompt, a message or an answer of its own."""
    text = data.decode("utf-8", "replace")
    if (parsed := _parsed(data)) is not None:
        yield parsed
    for spelling in dict.fromkeys((text, text.rstrip("\n"))):
        yield spelling
        yield [{"role": "user", "content": spelling}]
        yield [{"type": "text", "text": spelling}]
        yield [{"role": "assistant", "content": spelling}]


def _parsed(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.MsgspecError:
        return None
