"""The trail in PostgreSQL: binary COPY, claimed by the writer's sequence, many writers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from threading import Event
from typing import Any, Final, Self

import asyncpg
import msgspec

from auditmw.canonical import canonical_json
from auditmw.entry import AuditEntry, to_datetime
from auditmw.errors import AuditError, KeyMismatch, StoreError
from auditmw.stores.ahead import LeavesAhead
from auditmw.stores.columns import COLUMNS, to_entry
from auditmw.stores.filters import BY_CALL, conditions, restriction
from auditmw.stores.growth import FIRST_SEQ
from auditmw.stores.postgres_append import Appending, TooEarly
from auditmw.stores.postgres_connection import PostgresUrl, explained, hang_up
from auditmw.stores.postgres_heads import PostgresHeads
from auditmw.stores.postgres_rollups import PostgresRollups
from auditmw.stores.postgres_rows import (
    AFTER,
    BEFORE,
    ENTRIES,
    LEAF_INDEX,
    NAMES,
    VALUES,
    pages,
)
from auditmw.stores.postgres_schema import make_partitions, prepare_schema
from auditmw.stores.protocol import Batch, Filter

_SELECT: Final = f"SELECT {LEAF_INDEX}, {VALUES} {ENTRIES}"


class PostgresStore:
    """One connection that writes, opened again when it is lost; one for each reading."""

    def __init__(self, url: PostgresUrl) -> None:
        self._url = url
        self._writer: asyncpg.Connection | None = None
        self._may_read = self._may_write = False
        self._appending = Appending()
        self._ahead = LeavesAhead()
        self.heads: PostgresHeads | None = PostgresHeads(self._connection)
        self.rollups: PostgresRollups | None = PostgresRollups(url)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The store of `postgresql://...`; see `PostgresUrl.parse`."""
        return cls(PostgresUrl.parse(url))

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and migrate as the owner; raises as the protocol says."""
        self._writing = asyncio.Lock()
        with explained(self._url):
            db = await self._url.connect()
            try:
                await prepare_schema(db, read_only=read_only)
            finally:
                await hang_up(db)
        self._may_read, self._may_write = True, not read_only

    async def append(self, batch: Batch) -> int:
        """Store the batch exactly once, as the protocol says."""
        ready, append = self._ahead.take(batch), self._appending.append
        async with self._connection() as db:
            try:
                count, stored_at_us = await append(db, ready, lock_first=False)
            except TooEarly:
                count, stored_at_us = await append(db, ready, lock_first=True)
            except asyncpg.CheckViolationError:  # a month for which nobody has made a partition
                await make_partitions(db)
                count, stored_at_us = await append(db, ready, lock_first=True)
        if stored_at_us is not None:
            self._ahead.stored_at_us = stored_at_us
        return count

    async def prepare(self, batch: Batch) -> None:
        """Make the batch's leaves ahead."""
        await self._ahead.make(batch)

    async def last_seq(self, writer: str) -> int:
        """The highest number of a writer that is stored."""
        async with self._connection() as db:
            last_seq = await db.fetchval("SELECT last_seq FROM audit_writers WHERE writer = $1", writer)
        return FIRST_SEQ - 1 if last_seq is None else int(last_seq)

    async def stored(self, request_ids: Collection[str]) -> set[str]:
        """Which of these entries are stored."""
        async with self._connection() as db:
            sql = "SELECT request_id FROM audit_entries WHERE request_id = ANY($1)"
            return {row["request_id"] for row in await db.fetch(sql, list(request_ids))}

    async def query(self, wanted: Filter) -> AsyncIterator[AuditEntry]:
        """Stream the entries that fit through a cursor."""
        clauses, values = _where(wanted)
        order = "DESC" if wanted.newest_first else "ASC"
        limit = "" if wanted.limit is None else f"LIMIT {int(wanted.limit)}"
        sql = f"{_SELECT} WHERE {clauses} ORDER BY b.first_leaf {order}, e.seq {order} {limit}"
        async with self._reading() as db, db.transaction(readonly=True):
            async for page in pages(db, "entries", sql, *values):
                for leaf_index, *row in page:
                    yield to_entry(row, leaf_index)

    async def settings(self) -> dict[str, Any]:
        """The trail-wide choices."""
        async with self._reading() as db:
            rows = await db.fetch("SELECT name, value FROM audit_settings")
        return {name: msgspec.json.decode(value) for name, value in rows}

    async def set_setting(self, name: str, value: Any) -> None:
        """Keep a trail-wide choice."""
        sql = "INSERT INTO audit_settings VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        async with self._connection() as db:
            await db.execute(sql, name, canonical_json(value).decode())

    async def bind_key(self, key_id: str) -> None:
        """Refuse every key but the trail's first."""
        async with self._connection() as db:
            await db.execute("UPDATE audit_trail SET key_id = $1 WHERE key_id IS NULL", key_id)
            if await db.fetchval("SELECT key_id FROM audit_trail") != key_id:
                raise KeyMismatch

    async def stand_aside(self, gone: Event, over: Event) -> None:  # noqa: ARG002  (the protocol's)
        """A child leaves the inherited connections alone, which harms nobody."""
        gone.set()

    async def close(self) -> None:
        """Close the connections."""
        if self.rollups is not None:
            await self.rollups.close()
        if self._writer is not None:
            self._writer.terminate()
        self._writer = None
        self._may_read = self._may_write = False

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection that writes, for one use at a time.

        After a failure it is given up, because the fate of what it was doing is unknown: the claim sorts that out.
        """
        if not self._may_write:
            raise StoreError("this store is not open for writing: await open() first")
        async with self._writing:
            with explained(self._url):
                if self._writer is None or self._writer.is_closed():
                    self._writer = await self._url.connect_to_write()
                    await prepare_schema(self._writer, read_only=True)
                try:
                    yield self._writer
                except AuditError:
                    raise
                except BaseException:
                    self._writer.terminate()
                    raise

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[asyncpg.Connection]:
        if not self._may_read:
            raise StoreError("this store is not open: await open() first")
        with explained(self._url):
            db = await self._url.connect()
            try:
                yield db
            finally:
                await hang_up(db)


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    fields = conditions(wanted)
    clauses = [
        BY_CALL.format(f"${number}") if c.field == "call_id" else f"e.{NAMES[c.field]} {c.operator} ${number}"
        for number, c in enumerate(fields, start=1)
    ]
    clauses.append(restriction(wanted))
    values = [to_datetime(c.value) if COLUMNS[c.field] == "time" else c.value for c in fields]
    for clause, leaf_index in ((AFTER, wanted.after), (BEFORE, wanted.before)):
        if leaf_index is not None:
            values.append(leaf_index)
            clauses.append(clause.format(number=len(values)))
    return " AND ".join(clauses), values
