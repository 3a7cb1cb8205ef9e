"""A JSONL trail as a verifier sees it: every whole line, and whether it is as auditmw writes it. It has no tree."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from auditmw.entry import AuditEntry
from auditmw.errors import NoTrail, TrailDamaged
from auditmw.log.examine import Chunk, Control, Row, StoredBatch
from auditmw.log.verify import Strays, TrailHead
from auditmw.stores import path_of
from auditmw.stores.columns import SEQ, STORED_AT, WRITER, Leaf, to_row
from auditmw.stores.evidence import Extent
from auditmw.stores.jsonl import encode_line
from auditmw.stores.lines import complete_size, lines_backwards, lines_forwards

ORIGIN: Final = "jsonl"


class JsonlEvidence:
    """A directory as it was when this was made; its chunks must be asked for in order."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        files = sorted(self._directory.glob("audit_????-??-??.jsonl"))
        if not files:
            raise NoTrail(f"there is no trail in {self._directory.absolute()}")
        self._files = [(path, complete_size(path)) for path in files]
        self._lines = enumerate(line for path, size in self._files for line in lines_forwards(path, size))

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The reader of `jsonl:///relative/directory` or `jsonl:////absolute/directory`."""
        return cls(path_of(url))

    def head(self) -> TrailHead:
        """What there is instead of a head: the number of lines, and the time of the last one."""
        newest = next((line for path, size in reversed(self._files) for line in lines_backwards(path, size)), b"")
        values = _read(newest + b"\n", 0)[0].values
        return TrailHead(ORIGIN, self.extent().until, None, 0 if values is None else values[STORED_AT], self._key_id())

    def extent(self) -> Extent:
        """How many lines there are."""
        count = sum(1 for path, size in self._files for _ in lines_forwards(path, size))
        return Extent(0, count, count)

    def retained(self) -> list[Control]:
        """Nothing is ever pruned here."""
        return []

    def chunk(self, first: int, until: int) -> Chunk:
        """The next lines, each a batch of its own."""
        found = [_read(line, place) for place, line in islice(self._lines, until - first)]
        return Chunk(first, until, [row for row, _ in found], [batch for _, batch in found if batch], None, [])

    def strays(self, head: TrailHead) -> Strays:  # noqa: ARG002  (as the protocol has it)
        """Nothing lies elsewhere."""
        return Strays()

    def writers(self) -> None:
        """Nothing says how far each writer came."""

    def disturbed(self) -> bool:
        """Never: this is one moment of the trail."""
        return False

    def close(self) -> None:
        """Nothing is open."""

    def _key_id(self) -> str | None:
        path = self._directory / "settings.json"
        try:
            choices: dict[str, Any] = msgspec.json.decode(path.read_bytes() if path.exists() else b"{}")
            key_id: str | None = choices.get("key_id")
        except (msgspec.MsgspecError, AttributeError) as error:
            raise TrailDamaged(f"{path} is not as it was written: {error}") from error
        return key_id


def _read(line: bytes, place: int) -> tuple[Row, StoredBatch | None]:
    """The row of a line and its stored hash; no values where the line is not just what auditmw writes."""
    try:
        fields = msgspec.json.decode(line)
        salts, leaf = bytes.fromhex(fields.pop("salts")), bytes.fromhex(fields.pop("leaf"))
        entry = AuditEntry.from_dict(fields)
        values, leaf_index = to_row(entry), entry.leaf_index
        if leaf_index is None or encode_line(Leaf(tuple(values), salts, leaf), leaf_index) != line:
            return Row(place, b"", 0, None), None
    except (ValueError, AttributeError, TypeError, KeyError):
        return Row(place, b"", 0, None), None
    return Row(leaf_index, salts, 0, values), StoredBatch(leaf_index, values[WRITER], values[SEQ], 1, leaf)
