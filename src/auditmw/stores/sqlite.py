"""The trail in one SQLite file: write-ahead log, every commit flushed to the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from threading import Barrier, Event
from typing import Any, Final, Self

import aiosqlite
import msgspec

from auditmw.canonical import canonical_json
from auditmw.clock import Clock, SystemClock
from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError, KeyMismatch, NoTrail, SchemaMismatch, StoreError
from auditmw.stores import path_of
from auditmw.stores.ahead import LeavesAhead
from auditmw.stores.columns import COLUMNS, places_of, to_entry
from auditmw.stores.filters import BY_CALL, Condition, conditions, restriction
from auditmw.stores.growth import FIRST_SEQ
from auditmw.stores.migrate import pending
from auditmw.stores.protocol import Batch, Filter
from auditmw.stores.rollups import Rollups
from auditmw.stores.sqlite_append import Appending
from auditmw.stores.sqlite_connection import (
    Still,
    connect,
    explained,
    fetch,
    holds_trail,
    in_its_thread,
    migrate,
    no_trail,
    reopened,
    schema_version,
)
from auditmw.stores.sqlite_heads import SqliteHeads
from auditmw.stores.sqlite_rollups import sqlite_rollups

PAGE: Final = 500
FEW_LEAVES: Final = 200_000
"""So few are read sooner than the index on time is asked where among them to begin."""

_BOOLEANS: Final = places_of("boolean")
_AS_BOOLEAN: Final = {0: False, 1: True}
_READ: Final = ", ".join(f"e.{name}" if name != "writer" else "w.writer" for name in COLUMNS)
_SELECT: Final = f"""
    SELECT e.leaf_index, {_READ} FROM audit_entries AS e LEFT JOIN audit_writers AS w ON w.id = e.writer_id
"""  # noqa: S608  (constants)
_BOUNDS: Final = (
    "SELECT min(leaf_index), max(leaf_index) FROM audit_entries WHERE timestamp_us >= ? AND timestamp_us < ?"
)


class SqliteStore:
    """One file, one connection that writes and one that reads."""

    def __init__(self, path: str, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None
        self._still: Still | None = None
        self._apart = asyncio.Lock()
        self._appending = Appending()
        self._ahead = LeavesAhead()
        self.heads: SqliteHeads | None = SqliteHeads(self._transaction, self._clock)
        self.rollups: Rollups | None = sqlite_rollups(path, self._transaction, lambda: self._apart)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The store of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
        path = path_of(url)
        if path.startswith(":memory:"):
            raise ConfigurationError(f"{url!r}: for a trail in memory use memory://")
        return cls(path)

    async def open(self, *, read_only: bool = False) -> None:
        """Connect and migrate; `read_only` does neither create nor change anything.

        Raises:
            ConfigurationError: the file cannot be opened, or is no SQLite database.
            NoTrail: there is none in it, and this is `read_only`.
            SchemaMismatch: a newer auditmw wrote it, or an older one and this is `read_only`.
            StoreUnavailable: it is locked for now.
        """
        self._writing, self._apart = asyncio.Lock(), asyncio.Lock()
        try:
            with explained(self._path):
                if not read_only:
                    self._writer = await connect(self._path, write=True)
                    await migrate(self._writer)
                self._still = Still.of(self._path) if read_only else None
                self._reader = await connect(self._path, write=False)
                if not await holds_trail(self._reader):
                    raise NoTrail(no_trail(self._path))
                if pending("sqlite", await schema_version(self._reader)):
                    raise SchemaMismatch(f"{self._path} is of an older auditmw: run `auditmw migrate` on it first")
        except BaseException:
            await self.close()
            raise

    async def append(self, batch: Batch) -> int:
        """Store the batch exactly once, as the protocol says."""
        ready = self._ahead.take(batch)  # at once: while this waits for its turn, the next one is made ready
        async with self._to_write() as db:
            append = partial(self._appending.append, ready=ready, now_us=self._clock.now_us())
            count, stored_at_us = await in_its_thread(db, append)
        if stored_at_us is not None:
            self._ahead.stored_at_us = stored_at_us
        return count

    async def prepare(self, batch: Batch) -> None:
        """Make the batch's leaves ahead."""
        await self._ahead.make(batch)

    async def last_seq(self, writer: str) -> int:
        """The highest number of a writer that is stored."""
        with explained(self._path):
            rows = await fetch(self._reading(), "SELECT last_seq FROM audit_writers WHERE writer = ?", writer)
        return int(rows[0][0]) if rows else FIRST_SEQ - 1

    async def stored(self, request_ids: Collection[str]) -> set[str]:
        """Which of these entries are stored."""
        sql = "SELECT request_id FROM audit_entries WHERE request_id IN (SELECT value FROM json_each(?))"
        with explained(self._path):
            rows = await fetch(self._reading(), sql, canonical_json(list(request_ids)).decode())
        return {request_id for (request_id,) in rows}

    async def query(self, wanted: Filter) -> AsyncIterator[AuditEntry]:
        """Stream the entries that fit, a page at a time and without holding a transaction open."""
        with explained(self._path):
            first, last = await self._bounds(wanted)
            clauses, values = _where(conditions(wanted))
            clauses += f" AND {restriction(wanted)}"
            sql = f"{_SELECT} WHERE e.leaf_index BETWEEN ? AND ?{clauses} ORDER BY e.leaf_index"
            sql += f"{' DESC' if wanted.newest_first else ''} LIMIT ?"
            left = wanted.limit
            while first <= last and left != 0:
                size = PAGE if left is None else min(PAGE, left)
                rows = await fetch(self._reading(), sql, first, last, *values, size)
                for leaf_index, *row in rows:
                    yield to_entry(_read(row), leaf_index)
                if len(rows) < size:
                    return
                first, last = (first, rows[-1][0] - 1) if wanted.newest_first else (rows[-1][0] + 1, last)
                left = None if left is None else left - size

    async def settings(self) -> dict[str, Any]:
        """The trail-wide choices."""
        with explained(self._path):
            rows = await fetch(self._reading(), "SELECT name, value FROM audit_settings")
        return {name: msgspec.json.decode(value) for name, value in rows}

    async def set_setting(self, name: str, value: Any) -> None:
        """Keep a trail-wide choice."""
        async with self._transaction() as db:
            await db.execute(
                "INSERT OR REPLACE INTO audit_settings VALUES (?, ?)", (name, canonical_json(value).decode())
            )

    async def bind_key(self, key_id: str) -> None:
        """Refuse every key but the trail's first."""
        async with self._transaction() as db:
            await db.execute("UPDATE audit_trail SET key_id = ? WHERE key_id IS NULL", (key_id,))
            ((bound,),) = await fetch(db, "SELECT key_id FROM audit_trail")
        if bound != key_id:
            raise KeyMismatch

    async def stand_aside(self, gone: Event, over: Event) -> None:
        """Close both connections while the process forks.

        SQLite keeps a process's locks in its memory, which a child would inherit and believe.
        """
        if self._reader is None:
            gone.set()
            return
        async with self._apart, self._writing:
            connections = [(self._reader, False)] + ([] if self._writer is None else [(self._writer, True)])
            all_closed = Barrier(len(connections), action=gone.set)
            await asyncio.gather(
                *(reopened(db, self._path, all_closed, over, write=write) for db, write in connections)
            )

    async def close(self) -> None:
        """Close both connections; their threads end with them."""
        for connection in (self._reader, self._writer):  # the writer last: it folds the log into the file
            if connection is not None:
                await connection.close()
        self._writer = self._reader = None

    async def _bounds(self, wanted: Filter) -> tuple[int, int]:
        """The leaf indexes between which everything wanted lies.

        Of many the index on time gives them, so that the pages can go in leaf order and still need not begin at leaf 0.
        """
        ((size,),) = await fetch(self._reading(), "SELECT size FROM audit_trail")
        first = 0 if wanted.after is None else wanted.after + 1
        last = (size if wanted.before is None else min(size, wanted.before)) - 1
        if (wanted.since_us is None and wanted.until_us is None) or last - first < FEW_LEAVES:
            return first, last
        since_us = 0 if wanted.since_us is None else wanted.since_us
        until_us = 2**62 if wanted.until_us is None else wanted.until_us
        ((earliest, latest),) = await fetch(self._reading(), _BOUNDS, since_us, until_us)
        return (0, -1) if earliest is None else (max(first, earliest), min(last, latest))

    @asynccontextmanager
    async def _to_write(self) -> AsyncIterator[aiosqlite.Connection]:
        """The connection that writes, for one use at a time."""
        if self._writer is None:
            raise StoreError("this store is not open for writing: await open() first")
        async with self._writing:
            with explained(self._path):
                yield self._writer

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Committed as a whole or rolled back."""
        async with self._to_write() as db:
            try:
                await db.execute("BEGIN IMMEDIATE")
                yield db
                await db.execute("COMMIT")
            except BaseException:
                await db.rollback()
                raise

    def _reading(self) -> aiosqlite.Connection:
        if self._reader is None:
            raise StoreError("this store is not open: await open() first")
        if self._still is not None:
            self._still.require()
        return self._reader


def _where(wanted: list[Condition]) -> tuple[str, list[Any]]:
    """Conditions as SQL. The plus keeps SQLite in leaf order: it would sort each page by the index on time."""
    clauses = [f"{'+' * (c.field == 'timestamp_us')}e.{c.field} {c.operator} ?" for c in wanted]
    values = [c.value for c in wanted]
    for place, condition in enumerate(wanted):
        if condition.field == "call_id":
            clauses[place] = BY_CALL.format("?")
            values[place:place] = [condition.value] * (clauses[place].count("?") - 1)
    return "".join(f" AND {clause}" for clause in clauses), values


def _read(row: list[Any]) -> list[Any]:
    for place in _BOOLEANS:
        row[place] = _AS_BOOLEAN.get(row[place], row[place])
    return row
