"""A trail in memory, for tests: it does all that a store does, and is gone with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from itertools import islice
from threading import Event
from typing import Any, Self

from auditmw.clock import Clock, SystemClock
from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError, KeyMismatch
from auditmw.stores.columns import REQUEST_ID, Leaf, make_leaves, to_entry
from auditmw.stores.filters import matcher
from auditmw.stores.growth import FIRST_SEQ, already_stored, stored_at
from auditmw.stores.heads import Heads
from auditmw.stores.protocol import Batch, Filter
from auditmw.stores.rollups import Rollups


class MemoryStore:
    """Holds everything in lists; `close` and `open` keep it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._leaves: list[Leaf] = []
        self._last_seqs: dict[str, int] = {}
        self._stored_at_us = 0
        self._settings: dict[str, Any] = {}
        self._key_id: str | None = None
        self.heads: Heads | None = None
        self.rollups: Rollups | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The store of `memory://`."""
        if url != "memory://":
            raise ConfigurationError(f"{url!r}: a trail in memory is memory:// and takes nothing more")
        return cls()

    async def open(self, *, read_only: bool = False) -> None:
        """Nothing to do."""

    async def append(self, batch: Batch) -> int:
        """Store the batch exactly once, as the protocol says."""
        known = already_stored(batch, self._last_seqs.get(batch.writer, FIRST_SEQ - 1))
        if known < len(batch.entries):
            stored_at_us = stored_at(self._clock.now_us(), self._stored_at_us)
            self._leaves += make_leaves(batch, known, stored_at_us)
            self._stored_at_us = stored_at_us
            self._last_seqs[batch.writer] = batch.last_seq
        return len(batch.entries) - known

    async def prepare(self, batch: Batch) -> None:
        """There is nothing to wait for meanwhile."""

    async def last_seq(self, writer: str) -> int:
        """The highest number of a writer that is stored."""
        return self._last_seqs.get(writer, FIRST_SEQ - 1)

    async def stored(self, request_ids: Collection[str]) -> set[str]:
        """Which of these entries are stored."""
        return {leaf.row[REQUEST_ID] for leaf in self._leaves} & set(request_ids)

    async def query(self, wanted: Filter) -> AsyncIterator[AuditEntry]:
        """Stream the entries that fit."""
        indexes = range(len(self._leaves))
        entries = (to_entry(self._leaves[i].row, i) for i in (reversed(indexes) if wanted.newest_first else indexes))
        for entry in islice(filter(matcher(wanted), entries), wanted.limit):
            yield entry

    async def settings(self) -> dict[str, Any]:
        """The trail-wide choices."""
        return dict(self._settings)

    async def set_setting(self, name: str, value: Any) -> None:
        """Keep a trail-wide choice."""
        self._settings[name] = value

    async def bind_key(self, key_id: str) -> None:
        """Refuse every key but the trail's first."""
        self._key_id = self._key_id or key_id
        if self._key_id != key_id:
            raise KeyMismatch

    async def stand_aside(self, gone: Event, over: Event) -> None:  # noqa: ARG002  (the protocol's)
        """A child inherits a copy, which harms nobody."""
        gone.set()

    async def close(self) -> None:
        """Nothing to do: the entries stay."""
