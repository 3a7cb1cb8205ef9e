"""What a store gives to those who verify it and prove from it, and the table that says which URL means which reader.

Readers are plain blocking code of their own: a verifier needs nothing of the writer, writes nothing, and may run in
several processes, each with its own reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from auditmw.errors import AuditError, ConfigurationError
from auditmw.log.examine import Chunk, Control
from auditmw.log.verify import Strays, TrailHead
from auditmw.stores import load

_READERS: Final[dict[str, tuple[str, str]]] = {
    "sqlite": ("sqlite_evidence", "SqliteEvidence"),
    "jsonl": ("jsonl_evidence", "JsonlEvidence"),
    "postgresql": ("postgres_evidence", "PostgresEvidence"),
    "postgres": ("postgres_evidence", "PostgresEvidence"),
}


T = TypeVar("T")
TRIES: Final = 3
MAX_STRAYS: Final = 10
"""So many of each kind are named."""


class Extent(NamedTuple):
    """The leaf index of the first entry that is there, that after the last, and how many entries there are."""

    first: int
    until: int
    entry_count: int


class SealedItem(NamedTuple):
    """An entry's content under lock, and the salt of the commitment to it."""

    salt: bytes
    sealed: bytes


class EvidenceReader(Protocol):
    """One moment of a trail, as it was when this was opened; later writes do not show."""

    def head(self) -> TrailHead | None:
        """What the trail says of itself; None where there is no trail."""

    def extent(self) -> Extent:
        """Where the entries lie."""

    def retained(self) -> list[Control]:
        """The control entries that say that the trail's beginning is gone, in leaf order."""

    def chunk(self, first: int, until: int) -> Chunk:
        """All that is stored about these leaves."""

    def strays(self, head: TrailHead) -> Strays:
        """Some of what belongs to no leaf of the trail."""

    def writers(self) -> Mapping[str, int] | None:
        """The last number of each writer; None in a store that does not keep it."""

    def disturbed(self) -> bool:
        """Whether somebody wrote meanwhile in a way that this reader could not be kept apart from: then read again."""

    def close(self) -> None:
        """Let go of the connection."""


class TreeReader(EvidenceReader, Protocol):
    """The same where there is a tree to prove from."""

    def find(self, request_id: str) -> int | None:
        """The leaf index of an entry; None where there is none."""

    def tile_roots(self, count: int) -> list[bytes]:
        """The roots of the first `count` tiles."""

    def leaf_hashes(self, first: int, until: int) -> bytes:
        """The stored hashes of these leaves, concatenated."""

    def content(self, leaf_index: int) -> SealedItem | None:
        """An entry's content, as it lies under lock."""

    def newest_checkpoint(self) -> str | None:
        """The checkpoint that covers the most entries."""

    def newest_signed(self) -> str | None:
        """The signed checkpoint that covers the most entries, whoever signed it."""


def retain_entry(leaf_index: int, metadata: str) -> Control:
    """A control entry that says what is gone, from its stored metadata."""
    try:
        return Control(leaf_index, None, "retain", msgspec.json.decode(metadata, type=dict[str, Any]))
    except msgspec.MsgspecError:
        return Control(leaf_index, None, "retain", {})


def open_evidence(url: str) -> EvidenceReader:
    """A reader of the trail that a URL names; it changes nothing there.

    Raises:
        ConfigurationError: this trail cannot be verified from another process (memory), or not under this URL.
        MissingExtra: the driver of this store is not installed.
        NoTrail: there is none.
        StoreError: it cannot be read.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _READERS:
        raise ConfigurationError(f"a trail can be verified at {', '.join(f'{name}://' for name in _READERS)} only")
    reader: EvidenceReader = load(*_READERS[scheme]).from_url(url)
    return reader


def read_evidence(url: str, work: Callable[[EvidenceReader], T]) -> T:
    """What `work` finds out from a reader of this trail, read again if the reader was disturbed.

    Raises as `open_evidence` does, and what `work` raises.
    """
    for left in reversed(range(TRIES)):
        reader = open_evidence(url)
        try:
            found = work(reader)
            if not left or not reader.disturbed():
                return found
        except AuditError:
            if not left or not reader.disturbed():
                raise
        finally:
            reader.close()
    raise AssertionError  # the last try returns or raises


def as_tree(reader: EvidenceReader) -> TreeReader:
    """The same reader, for proving; raises ConfigurationError where there is no tree."""
    if not hasattr(reader, "tile_roots"):
        raise ConfigurationError("a JSONL trail keeps no tree, so nothing of it can be proven: use sqlite:///audit.db")
    return cast("TreeReader", reader)
