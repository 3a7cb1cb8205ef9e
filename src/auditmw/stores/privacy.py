"""What a store does for retention, holds, erasure and access, and the table that says which URL means which.

Plain blocking code on a connection of its own, apart from the writer's: it runs in a command, or in a thread beside the
application. It alone removes anything that is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from auditmw.entry import FIELD_CLASSES
from auditmw.errors import ConfigurationError, StoreUnavailable
from auditmw.log.leaf import CLASSES
from auditmw.stores import load
from auditmw.stores.filters import Condition

UNSCRUBBED: Final = "unscrubbed"
"""Set while something that an erasure has removed may still lie in the store's files."""
LOCK_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.05
_STORES: Final[dict[str, tuple[str, str]]] = {
    "sqlite": ("sqlite_privacy", "SqlitePrivacy"),
    "postgresql": ("postgres_privacy", "PostgresPrivacy"),
    "postgres": ("postgres_privacy", "PostgresPrivacy"),
}


class KeptRow(NamedTuple):
    """An entry as it lies in the store: `values` in the order of `STORED_FIELDS`.

    `restricted` names the erasure that wants it gone while something keeps it.
    """

    leaf_index: int
    salts: bytes
    erased: int
    values: Sequence[Any]
    restricted: str | None = None


class ErasedRow(NamedTuple):
    """What an entry becomes when classes of it go: its new salts and `erased`."""

    row: KeptRow
    salts: bytes
    erased: int


class KeptContent(NamedTuple):
    """An entry's content, and the key that it is under; `wrapped` is None where that is gone."""

    leaf_index: int
    key_id: str
    sealed: bytes
    wrapped_by: str | None
    wrapped: bytes | None


class DeclaredEntry(NamedTuple):
    """A control entry's place and what it says."""

    leaf_index: int
    request_id: str
    timestamp_us: int
    metadata: dict[str, Any]


class PrivacyStore(Protocol):
    """One trail. Every method raises StoreUnavailable where the same may work when it is tried again."""

    one_writer: bool
    """Whether nobody else can write while this does."""

    def head(self) -> tuple[str, int, int]:
        """The trail's origin, its size, and when its last entry was stored (microseconds)."""

    def rows(self, wanted: Sequence[Condition], first: int, until: int, limit: int) -> list[KeptRow]:
        """The first so many entries with a leaf index from `first` to before `until` for which all conditions hold.

        Restricted ones are among them, and `restricted` may be a condition.
        """

    def find(self, request_id: str) -> int | None:
        """The leaf index of an entry."""

    def first_leaf(self) -> int:
        """The leaf index of the first entry that is there; the trail's size where none is."""

    def leaf_since(self, stored_at_us: int) -> int:
        """The leaf index of the first entry that was stored at this time or later; the trail's size where none was."""

    def moments(self, since_us: int) -> list[int]:
        """The hours, and the last time, at which something was stored since then, in order."""

    def leaf_hashes(self, first: int, until: int) -> bytes:
        """The stored hashes of these leaves, concatenated."""

    def controls(self, action: str, newest: int | None = None) -> list[DeclaredEntry]:
        """The control entries of an action in leaf order, or only so many of the newest."""

    def erase(self, rows: Sequence[ErasedRow], classes: int) -> None:
        """Remove the values of these classes (bits), content and its keys among them, in one transaction."""

    def restrict(self, rows: Sequence[KeptRow], erasure: str | None) -> None:
        """Show these entries only to who asks for them by name, on behalf of this erasure; None: to everybody."""

    def delete_before(self, leaf: int, limit: int) -> int | None:
        """Remove whole entries before a leaf, content and its keys among them, at most about so many at once.

        Returns how many went, which may be none yet; None when nothing is left.
        """

    def scrub(self, seconds: float) -> list[str]:
        """See to it that nothing that was removed lies in the store's files; what could not be done, in words."""

    def left_behind(self) -> list[str]:
        """Where copies of what was removed may lie that this cannot reach, in words."""

    def content(self, leaf_index: int) -> KeptContent | None:
        """An entry's content."""

    def data_keys(self, after: str, limit: int) -> list[tuple[str, str, bytes]]:
        """Keys of content behind this id: each its id, the name of the key that wraps it, and its wrapped form."""

    def rewrap(self, keys: Sequence[tuple[str, str, bytes]]) -> None:
        """Replace the wrapped forms of these keys."""

    def settings(self, prefix: str) -> dict[str, Any]:
        """The trail's settings whose names begin so."""

    def set_setting(self, name: str, value: Any) -> None:
        """Keep a setting."""

    def delete_setting(self, name: str) -> None:
        """Remove a setting."""

    def lock(self) -> bool:
        """Become the one process that removes from this trail, until `unlock` or its death; False if another one is."""

    def unlock(self) -> None:
        """Let another process remove."""

    def close(self) -> None:
        """Let go of the connection."""


def has_privacy(url: str) -> bool:
    """Whether the trail at `url` keeps what can be retained, held and erased: a database."""
    return urlsplit(url).scheme in _STORES


def open_privacy(url: str) -> PrivacyStore:
    """The privacy side of the trail at `url`.

    Raises:
        ConfigurationError: this kind of trail has none, or it cannot be reached like this.
        MissingExtra: the driver of this store is not installed.
        SchemaMismatch: `auditmw migrate` must run first.
    """
    if not has_privacy(url):
        raise ConfigurationError(
            "retention, holds, erasure and access need a database: use sqlite:///audit.db or postgresql://..."
        )
    store: PrivacyStore = load(*_STORES[urlsplit(url).scheme]).from_url(url)
    return store


@contextmanager
def alone(store: PrivacyStore, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Remove alone; another process is waited for.

    Raises:
        StoreUnavailable: it goes on for longer.
    """
    deadline = time.monotonic() + seconds
    while not store.lock():
        if time.monotonic() >= deadline:
            raise StoreUnavailable("another process erases or retains just now: try again when it is done")
        time.sleep(_PAUSE_SECONDS)
    try:
        yield
    finally:
        store.unlock()


def columns_of(classes: int) -> list[str]:
    """The columns of these classes (bits)."""
    return [name for c in CLASSES if classes & c.bit for name in FIELD_CLASSES.get(c.name, ())]
