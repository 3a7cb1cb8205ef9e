"""What a store does, and what it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from threading import Event
from typing import Any, Protocol

import msgspec

from auditmw.entry import AuditEntry
from auditmw.stores.heads import Heads
from auditmw.stores.rollups import Rollups


class Batch(msgspec.Struct, frozen=True):
    """Consecutive entries of one writer: `entries[i]` has the number `first_seq + i`, whatever it says itself."""

    writer: str
    first_seq: int
    entries: Sequence[AuditEntry]

    @property
    def last_seq(self) -> int:
        """The sequence number of the last entry."""
        return self.first_seq + len(self.entries) - 1


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries a query gives: all conditions that are not None hold. Times are microseconds, `until` is exclusive.

    `kind` None leaves control entries out; `restricted` gives those alone that an erasure wants gone and that something
    keeps, which are left out otherwise. Entries come in the order in which they were stored, or the other way round;
    `after` and `before` are leaf indexes, both exclusive.
    """

    request_id: str | None = None
    user_id: str | None = None
    subject: str | None = None
    session_id: str | None = None
    tenant: str | None = None
    model: str | None = None
    status: str | None = None
    action: str | None = None
    call_id: str | None = None
    parent_id: str | None = None
    kind: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    after: int | None = None
    before: int | None = None
    limit: int | None = None
    newest_first: bool = False
    restricted: bool = False


class Store(Protocol):
    """Where entries live. All methods run on the writer's event loop; `query` may run beside `append`.

    A writer's sequence begins at 1.
    """

    heads: Heads | None
    """The heads of its tree; None in a store that keeps leaves alone."""
    rollups: Rollups | None
    """Its sums over calls; None in a store that reports read entry by entry."""

    async def open(self, *, read_only: bool = False) -> None:
        """Connect; migrate where this connection may. `read_only` creates, migrates and writes nothing.

        Raises:
            StoreUnavailable: it cannot be reached for now; worth trying again.
            NoTrail: there is none, and this is `read_only`.
            SchemaMismatch: the schema is newer, or older and this connection may not migrate.
            ConfigurationError: it never will work as configured; the message says what to do.
        """

    async def append(self, batch: Batch) -> int:
        """Store the batch exactly once in one transaction; return how many entries were new.

        Claims the writer's sequence; a batch that is stored already, in whole or in part and however it was cut, adds
        only what is missing. Gives the entries `stored_at`, which never goes backwards within a trail, and their
        leaf indexes, and extends the Merkle tree.

        Raises:
            StoreUnavailable: nothing is known to be stored; try the same batch again.
            PoisonEntry: one entry is refused for good; `index` is its place in this batch.
            SequenceGap: `first_seq` is beyond the writer's last entry plus one.
        """

    async def prepare(self, batch: Batch) -> None:
        """Do ahead what `append` would do with this very batch, while another one is appended; may do nothing."""

    async def last_seq(self, writer: str) -> int:
        """The highest number of a writer that is stored; 0 where nothing of it is."""

    async def stored(self, request_ids: Collection[str]) -> set[str]:
        """Which of these entries are stored, by their request ids; control entries too."""

    def query(self, wanted: Filter) -> AsyncIterator[AuditEntry]:
        """Stream the entries that fit and were stored when it began, never holding more than a page of them."""

    async def settings(self) -> dict[str, Any]:
        """The trail-wide choices by name, as JSON data."""

    async def set_setting(self, name: str, value: Any) -> None:
        """Keep a trail-wide choice, replacing an earlier one."""

    async def bind_key(self, key_id: str) -> None:
        """Bind the trail to the fingerprint of its digest key; every other one is refused from then on.

        Raises:
            KeyMismatch: the trail is bound to another key.
        """

    async def stand_aside(self, gone: Event, over: Event) -> None:
        """Before a fork: set `gone` when nothing is open that a child must not inherit, and go on after `over`."""

    async def close(self) -> None:
        """Let go of connections and files; afterwards `open` works again."""
