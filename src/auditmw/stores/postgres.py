"""The trail in PostgreSQL: binary COPY, claimed by the writer's sequence, many writers at once.

A batch takes two locks, always in this order: its writer's row, so that it lands once, and after its entries are copied
the trail's row, so that all writers get their leaves in one order. The copying is done side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from threading import Event
from typing import Any, Final, Self

import asyncpg
import msgspec

from auditmw.canonical import canonical_json
from auditmw.entry import AuditEntry, to_datetime, to_us
from auditmw.errors import AuditError, KeyMismatch, PoisonEntry, StoreError
from auditmw.log.merkle import Frontier
from auditmw.stores.columns import COLUMNS, WRITER, Leaf, make_leaves, places_of, to_entry
from auditmw.stores.filters import conditions, restriction
from auditmw.stores.growth import FIRST_SEQ, already_stored, fills_tile, grow, tile_start
from auditmw.stores.postgres_connection import WRITE_SECONDS, PostgresUrl, explained, hang_up
from auditmw.stores.postgres_heads import PostgresHeads
from auditmw.stores.postgres_rollups import PostgresRollups
from auditmw.stores.postgres_rows import (
    AFTER,
    BEFORE,
    ENTRIES,
    LEAF_INDEX,
    NAMES,
    VALUES,
    leaf_hashes,
    pages,
)
from auditmw.stores.postgres_schema import make_partitions, prepare_schema
from auditmw.stores.protocol import Batch, Filter

_TIMES: Final = places_of("time")
_WRITTEN: Final = [*("writer_id" if name == "writer" else name for name in NAMES.values()), "salts"]
_SELECT: Final = f"SELECT {LEAF_INDEX}, {VALUES} {ENTRIES}"
_KNOWN: Final = """
    SELECT w.id, w.last_seq, greatest(date_trunc('second', clock_timestamp()), t.stored_at) AS stored_at
    FROM audit_writers AS w, audit_trail AS t
    WHERE w.writer = $1
    FOR UPDATE OF w
"""
_NEW_WRITER: Final = "INSERT INTO audit_writers (writer, last_seq) VALUES ($1, $2) ON CONFLICT (writer) DO NOTHING"
_LOCK_TRAIL: Final = "SELECT size, frontier, stored_at FROM audit_trail FOR UPDATE"
_GROW: Final = """
    WITH
        batch AS (INSERT INTO audit_batches VALUES ($1, $2, $3, $4, $5, $6)),
        tiles AS (INSERT INTO audit_tiles SELECT * FROM unnest($7::bigint[], $8::bytea[])),
        writer AS (UPDATE audit_writers SET last_seq = $9 WHERE id = $2)
    UPDATE audit_trail SET size = $10, frontier = $11, stored_at = $5
"""


class _TooEarly(Exception):  # noqa: N818  (a signal inside this file, never an error)
    """The trail has reached a later second than the one that the copied entries hold."""


class PostgresStore:
    """One connection that writes, opened again when it is lost; one for each reading."""

    def __init__(self, url: PostgresUrl) -> None:
        self._url = url
        self._writer: asyncpg.Connection | None = None
        self._may_read = self._may_write = False
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
        async with self._connection() as db:
            try:
                return await _append(db, batch, lock_first=False)
            except _TooEarly:
                return await _append(db, batch, lock_first=True)
            except asyncpg.CheckViolationError:  # a month for which nobody has made a partition
                await make_partitions(db)
                return await _append(db, batch, lock_first=True)

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
                    self._writer = await self._url.connect(WRITE_SECONDS)
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


async def _append(db: asyncpg.Connection, batch: Batch, *, lock_first: bool) -> int:
    """One transaction. `lock_first` holds up the other writers while copying, and can then not be too early."""
    async with db.transaction(isolation="read_committed"):
        while (writer := await db.fetchrow(_KNOWN, batch.writer)) is None:
            await db.execute(_NEW_WRITER, batch.writer, FIRST_SEQ - 1)
        known = already_stored(batch, writer["last_seq"])
        if known == len(batch.entries):
            return 0
        trail = await db.fetchrow(_LOCK_TRAIL) if lock_first else None
        stored_at = writer["stored_at"] if trail is None else max(writer["stored_at"], trail["stored_at"])
        leaves = make_leaves(batch, known, to_us(stored_at))
        await _copy(db, [_written(leaf, writer["id"]) for leaf in leaves], known)
        trail = trail or await db.fetchrow(_LOCK_TRAIL)
        if trail["stored_at"] > stored_at:
            raise _TooEarly
        size, hashes = trail["size"], [leaf.hash for leaf in leaves]
        await _insert_content(db, leaves, size)
        partial = await leaf_hashes(db, tile_start(size), size) if fills_tile(size, len(hashes)) else b""
        grown = grow(Frontier.from_bytes(trail["frontier"]), hashes, partial)
        await db.execute(
            _GROW,
            size,
            writer["id"],
            batch.first_seq + known,
            len(hashes),
            stored_at,
            b"".join(hashes),
            [tile for tile, _ in grown.tile_roots],
            [root for _, root in grown.tile_roots],
            batch.last_seq,
            grown.frontier.size,
            grown.frontier.to_bytes(),
        )
        return len(hashes)


async def _insert_content(db: asyncpg.Connection, leaves: list[Leaf], size: int) -> None:
    found = [(size + place, *leaf.content) for place, leaf in enumerate(leaves) if leaf.content is not None]
    if not found:
        return
    keys = {content.key_id: (content.key_id, content.wrapped_by, content.wrapped) for _, content, _ in found}
    await db.executemany("INSERT INTO audit_data_keys VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", keys.values())
    rows = [(leaf_index, content.key_id, salt, content.sealed) for leaf_index, content, salt in found]
    await db.executemany("INSERT INTO audit_content VALUES ($1, $2, $3, $4)", rows)


async def _copy(db: asyncpg.Connection, records: list[list[Any]], known: int) -> None:
    try:
        await db.copy_records_to_table("audit_entries", records=records, columns=_WRITTEN)
    except asyncpg.CharacterNotInRepertoireError as error:
        for place, record in enumerate(records):
            if any(isinstance(value, str) and "\0" in value for value in record):
                message = f"entry {record[0]!r} holds a NUL character, which PostgreSQL cannot store"
                raise PoisonEntry(message, known + place) from error
        raise


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    fields = conditions(wanted)
    clauses = [f"e.{NAMES[c.field]} {c.operator} ${number}" for number, c in enumerate(fields, start=1)]
    clauses.append(restriction(wanted))
    values = [to_datetime(c.value) if COLUMNS[c.field] == "time" else c.value for c in fields]
    for clause, leaf_index in ((AFTER, wanted.after), (BEFORE, wanted.before)):
        if leaf_index is not None:
            values.append(leaf_index)
            clauses.append(clause.format(number=len(values)))
    return " AND ".join(clauses), values


def _written(leaf: Leaf, writer_id: int) -> list[Any]:
    row = leaf.row
    row[WRITER] = writer_id
    for place in _TIMES:
        if row[place] is not None:
            row[place] = to_datetime(row[place])
    return [*row, leaf.salts]
