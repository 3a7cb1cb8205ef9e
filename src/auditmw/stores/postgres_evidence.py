"""A PostgreSQL trail as a verifier sees it: one repeatable-read transaction, nothing written."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Self

from auditmw.entry import to_us
from auditmw.errors import NoTrail
from auditmw.log.examine import Chunk, Control, Row, StoredBatch
from auditmw.log.leaf import content_commitment
from auditmw.log.tiles import TILE_WIDTH
from auditmw.log.verify import Strays, TrailHead
from auditmw.stores.evidence import MAX_STRAYS, Extent, SealedItem, retain_entry
from auditmw.stores.growth import slice_hashes
from auditmw.stores.postgres_connection import PostgresUrl, explained
from auditmw.stores.postgres_rows import ENTRIES, LEAF_INDEX, VALUES
from auditmw.stores.postgres_schema import prepare_schema

_FROM_BATCH: Final = "b.first_leaf >= coalesce((SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= $1), $1)"
_ROWS: Final = f"""
    SELECT {LEAF_INDEX}, e.salts, e.erased, e.restricted, {VALUES} {ENTRIES}
    WHERE {_FROM_BATCH} AND b.first_leaf < $2 AND {LEAF_INDEX} >= $1 AND {LEAF_INDEX} < $2
    ORDER BY b.first_leaf, e.seq LIMIT 2 * ($2 - $1)
"""
_BATCHES: Final = f"""
    SELECT b.first_leaf, w.writer, b.first_seq, b.entry_count, b.leaf_hashes
    FROM audit_batches AS b LEFT JOIN audit_writers AS w ON w.id = b.writer_id
    WHERE {_FROM_BATCH} AND b.first_leaf < $2
    ORDER BY b.first_leaf
"""  # noqa: S608  (constants)
_EXTENT: Final = """
    SELECT coalesce(min(first_leaf), 0), coalesce(max(first_leaf + entry_count), 0),
        (SELECT count(*) FROM audit_entries)
    FROM audit_batches
"""
_FIRST_ROW: Final = f"SELECT {LEAF_INDEX} {ENTRIES} ORDER BY b.first_leaf, e.seq LIMIT 1"
_CONTENTS: Final = "SELECT leaf_index, salt, sealed FROM audit_content WHERE leaf_index >= $1 AND leaf_index < $2"
_RETAINED: Final = f"""
    SELECT {LEAF_INDEX}, e.metadata {ENTRIES}
    WHERE e.kind = 'control' AND e.action = 'retain' AND e.metadata LIKE '%"first_leaf"%' ORDER BY 1
"""
_STRAY_ROWS: Final = """
    SELECT e.request_id FROM audit_entries AS e
    WHERE NOT EXISTS (
        SELECT FROM audit_batches AS b
        WHERE b.stored_at = e.stored_at AND b.writer_id = e.writer_id
            AND e.seq >= b.first_seq AND e.seq < b.first_seq + b.entry_count
    )
    LIMIT $1
"""
_FIND: Final = f"SELECT {LEAF_INDEX} {ENTRIES} WHERE e.request_id = $1 LIMIT 1"
_SIGNED: Final = "SELECT note FROM audit_checkpoints WHERE strpos(note, E'\\n\\n') > 0 ORDER BY size DESC LIMIT 1"


class PostgresEvidence:
    """One connection, used from blocking code."""

    def __init__(self, url: PostgresUrl) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        try:
            with explained(url):
                self._db = self._runner.run(_begin(url))
        except BaseException:
            self._runner.close()
            raise

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The reader of `postgresql://...`."""
        return cls(PostgresUrl.parse(url))

    def head(self) -> TrailHead | None:
        """What the trail says of itself."""
        rows = self._all("SELECT origin, size, frontier, stored_at, key_id FROM audit_trail")
        if not rows:
            return None
        origin, size, frontier, stored_at, key_id = rows[0]
        return TrailHead(origin, size, frontier, to_us(stored_at), key_id)

    def extent(self) -> Extent:
        """Where the entries lie."""
        ((first_batch, until, count),) = self._all(_EXTENT)
        first = self._all(_FIRST_ROW)
        return Extent(first[0][0] if first else first_batch, until, count)

    def retained(self) -> list[Control]:
        """The control entries that say that the trail's beginning is gone."""
        return [retain_entry(leaf_index, metadata) for leaf_index, metadata in self._all(_RETAINED)]

    def chunk(self, first: int, until: int) -> Chunk:
        """All that is stored about these leaves."""
        tiles = "SELECT tile, root FROM audit_tiles WHERE tile >= $1 AND tile < $2"
        checkpoints = "SELECT size, note FROM audit_checkpoints WHERE size > $1 AND size <= $2 ORDER BY size, note"
        batches = [StoredBatch(*row) for row in self._all(_BATCHES, first, until)]
        return Chunk(
            first,
            until,
            [_row(*row) for row in self._all(_ROWS, first, until)],
            [batch for batch in batches if batch.first_leaf + batch.entry_count > first],
            dict(self._all(tiles, first // TILE_WIDTH, until // TILE_WIDTH)),
            [(size, note) for size, note in self._all(checkpoints, first, until)],
            {index: content_commitment(salt, sealed) for index, salt, sealed in self._all(_CONTENTS, first, until)},
        )

    def strays(self, head: TrailHead) -> Strays:
        """Some of what belongs to no leaf."""
        tiles = "SELECT tile FROM audit_tiles WHERE tile < 0 OR tile >= $1 LIMIT $2"
        checkpoints = "SELECT size FROM audit_checkpoints WHERE size < 1 OR size > $1 ORDER BY size DESC LIMIT $2"
        return Strays(
            [(None, request_id) for (request_id,) in self._all(_STRAY_ROWS, MAX_STRAYS)],
            [number for (number,) in self._all(tiles, head.size // TILE_WIDTH, MAX_STRAYS)],
            [size for (size,) in self._all(checkpoints, head.size, MAX_STRAYS)],
        )

    def writers(self) -> dict[str, int]:
        """The last number of each writer."""
        return dict(self._all("SELECT writer, last_seq FROM audit_writers"))

    def find(self, request_id: str) -> int | None:
        """The leaf index of an entry."""
        rows = self._all(_FIND, request_id)
        return rows[0][0] if rows else None

    def tile_roots(self, count: int) -> list[bytes]:
        """The roots of the first tiles."""
        return [root for (root,) in self._all("SELECT root FROM audit_tiles WHERE tile < $1 ORDER BY tile", count)]

    def leaf_hashes(self, first: int, until: int) -> bytes:
        """The stored hashes of these leaves."""
        return slice_hashes([(row[0], row[4]) for row in self._all(_BATCHES, first, until)], first, until)

    def content(self, leaf_index: int) -> SealedItem | None:
        """An entry's content under lock."""
        rows = self._all("SELECT salt, sealed FROM audit_content WHERE leaf_index = $1", leaf_index)
        return SealedItem(*rows[0]) if rows else None

    def newest_checkpoint(self) -> str | None:
        """The checkpoint that covers the most entries."""
        rows = self._all("SELECT note FROM audit_checkpoints ORDER BY size DESC, length(note) DESC LIMIT 1")
        return rows[0][0] if rows else None

    def newest_signed(self) -> str | None:
        """The signed checkpoint that covers the most entries."""
        rows = self._all(_SIGNED)
        return rows[0][0] if rows else None

    def disturbed(self) -> bool:
        """Never: this is one moment of the trail."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._db.terminate()
        self._runner.close()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with explained(self._url):
            return self._run(self._db.fetch(sql, *values))

    def _run(self, work: Coroutine[Any, Any, list[Any]]) -> list[Any]:
        return self._runner.run(work)


def _row(index: int, salts: bytes, erased: int, restricted: str | None, *values: Any) -> Row:
    return Row(index, salts, erased, values, restricted)


async def _begin(url: PostgresUrl) -> Any:
    db = await url.connect()
    try:
        if await db.fetchval("SELECT to_regclass('audit_schema')") is None:
            raise NoTrail(f"there is no trail at {url.shown}")
        await prepare_schema(db, read_only=True)
        await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    except BaseException:
        db.terminate()
        raise
    return db
