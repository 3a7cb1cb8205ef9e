"""How a batch gets into a PostgreSQL trail: claimed by its writer's row, copied, and given its leaves.

A batch takes two locks, always in this order: its writer's row, so that it lands once, and after its entries are copied
the trail's row, so that all writers get their leaves in one order. The copying is done side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import asyncpg

from auditmw.entry import to_us
from auditmw.errors import PoisonEntry
from auditmw.log.merkle import Frontier
from auditmw.stores.ahead import Ready
from auditmw.stores.columns import REQUEST_ID, Leaf, content_rows
from auditmw.stores.filled import FilledColumns
from auditmw.stores.growth import FIRST_SEQ, already_stored, fills_tile, grow, tile_start
from auditmw.stores.postgres_rows import NAMES, leaf_hashes

_NAMES: Final = list(NAMES.values())
_OWN: Final = ("writer_id", "stored_at", "salts")
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


class TooEarly(Exception):  # noqa: N818  (a signal between two modules, never an error)
    """The trail has reached a later second than the one that the copied entries hold."""


class Appending:
    """Appends batches to one trail."""

    def __init__(self) -> None:
        self._columns = FilledColumns(apart={"writer", "stored_at_us"})

    async def append(self, db: asyncpg.Connection, ready: Ready, *, lock_first: bool) -> tuple[int, int | None]:
        """One transaction; returns how many entries were new, and when they are said to be stored.

        `lock_first` holds up the other writers while copying, and can then not be too early.

        Raises SequenceGap, PoisonEntry, TooEarly and what the driver raises; then nothing is known to be stored.
        """
        batch = ready.batch
        async with db.transaction(isolation="read_committed"):
            while (writer := await db.fetchrow(_KNOWN, batch.writer)) is None:
                await db.execute(_NEW_WRITER, batch.writer, FIRST_SEQ - 1)
            known = already_stored(batch, writer["last_seq"])
            if known == len(batch.entries):
                return 0, None
            trail = await db.fetchrow(_LOCK_TRAIL) if lock_first else None
            stored_at: datetime = writer["stored_at"] if trail is None else max(writer["stored_at"], trail["stored_at"])
            leaves = ready.leaves(known, to_us(stored_at))
            self._columns.cover(leaf.row for leaf in leaves)
            columns = [*_OWN, *(_NAMES[place] for place in self._columns.places)]
            with _explained(leaves, known):
                await copy_entries(db, self._records(leaves, writer["id"], to_us(stored_at)), columns)
            trail = trail or await db.fetchrow(_LOCK_TRAIL)
            if trail["stored_at"] > stored_at:
                raise TooEarly
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
        return len(hashes), to_us(stored_at)

    def _records(self, leaves: Sequence[Leaf], writer_id: int, stored_at_us: int) -> Iterator[tuple[Any, ...]]:
        values_of = self._columns.values_of
        for leaf in leaves:
            yield (writer_id, stored_at_us, leaf.salts, *values_of(leaf.row))


async def copy_entries(db: asyncpg.Connection, records: Iterable[tuple[Any, ...]], columns: Sequence[str]) -> None:
    """Copy rows of entries."""
    await db.copy_records_to_table("audit_entries", records=records, columns=columns)


@contextmanager
def _explained(leaves: Sequence[Leaf], known: int) -> Iterator[None]:
    """Which entry it was that PostgreSQL does not take; the first leaf is that of place `known` in its batch."""
    try:
        yield
    except asyncpg.CharacterNotInRepertoireError as error:
        for place, leaf in enumerate(leaves, known):
            if any(isinstance(value, str) and "\0" in value for value in leaf.row):
                message = f"entry {leaf.row[REQUEST_ID]!r} holds a NUL character, which PostgreSQL cannot store"
                raise PoisonEntry(message, place) from error
        raise


async def _insert_content(db: asyncpg.Connection, leaves: Sequence[Leaf], size: int) -> None:
    keys, contents = content_rows(leaves, size)
    if contents:
        await db.executemany("INSERT INTO audit_data_keys VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", keys)
        await db.executemany("INSERT INTO audit_content VALUES ($1, $2, $3, $4)", contents)
