"""Whole entries that go from the beginning of a PostgreSQL trail: months as partitions, the rest in batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from auditmw.stores.partitions import Month

_WAIT_MS: Final = 60_000
"""So long those are waited for who read what goes; nobody waits for this."""
_FIRST: Final = """
    SELECT b.first_leaf + e.seq - b.first_seq
    FROM audit_batches AS b
    CROSS JOIN LATERAL (
        SELECT min(o.seq) AS seq FROM audit_entries AS o
        WHERE o.stored_at = b.stored_at AND o.writer_id = b.writer_id
            AND o.seq >= b.first_seq AND o.seq < b.first_seq + b.entry_count
    ) AS e
    WHERE b.stored_at = (SELECT min(stored_at) FROM audit_entries) AND e.seq IS NOT NULL
    ORDER BY b.first_leaf + 0 LIMIT 1
"""
"""The sum keeps the planner off the index on leaves, where it would pass all batches whose entries are gone."""
_LAST_MONTH: Final = "SELECT stored_at FROM audit_batches WHERE first_leaf <= $1 ORDER BY first_leaf DESC LIMIT 1"
_SINCE: Final = "SELECT first_leaf FROM audit_batches WHERE stored_at >= $1 ORDER BY stored_at, first_leaf LIMIT 1"
_MONTHS: Final = r"""
    SELECT c.relname, i.inhdetachpending
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
    WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname ~ '^audit_entries_\d{4}_\d{2}$'
        AND c.relname < $1
    ORDER BY 1
    LIMIT 1
"""
_BATCHES: Final = """
    SELECT stored_at, writer_id, first_seq, least(first_seq + entry_count, first_seq + $2 - first_leaf)
    FROM audit_batches
    WHERE first_leaf >= (SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= $1) AND first_leaf < $2
"""
_ENTRIES: Final = "DELETE FROM audit_entries WHERE stored_at = $1 AND writer_id = $2 AND seq >= $3 AND seq < $4"
_CONTENT: Final = """
    DELETE FROM audit_content
    WHERE leaf_index IN (SELECT leaf_index FROM audit_content WHERE leaf_index < $1 ORDER BY leaf_index LIMIT $2)
    RETURNING key_id
"""
_UNUSED_KEYS: Final = """
    DELETE FROM audit_data_keys AS k
    WHERE k.key_id = ANY($1::text[]) AND NOT EXISTS (SELECT FROM audit_content AS c WHERE c.key_id = k.key_id)
"""


async def first_leaf(db: Any) -> int | None:
    """The first entry that is there."""
    found: int | None = await db.fetchval(_FIRST)
    return found


async def leaf_since(db: Any, stored_at: datetime) -> int | None:
    """The first leaf that was stored at this time or later."""
    found: int | None = await db.fetchval(_SINCE, stored_at)
    return found


async def delete_before(db: Any, leaf: int, limit: int) -> int | None:
    """Drop a month that lies wholly before the leaf, else remove entries of the month in which the leaf lies.

    The content of a month goes after it, so that no entry is ever seen without what it committed to.
    """
    first = await first_leaf(db)
    async with db.transaction():
        if await _delete_content(db, leaf if first is None else min(first, leaf), limit):
            return 0
    last: datetime | None = await db.fetchval(_LAST_MONTH, leaf)
    if last is None:  # nothing was ever stored
        return None
    if month := await db.fetchrow(_MONTHS, Month.of(last).table):
        return await _drop(db, *month)
    if first is None or first >= leaf:
        return None
    until = min(leaf, first + limit)
    async with db.transaction():
        await _delete_content(db, until, limit)
        await db.executemany(_ENTRIES, [tuple(batch) for batch in await db.fetch(_BATCHES, first, until)])
    return until - first


async def delete_unused(db: Any, keys: set[str]) -> None:
    """Remove those of these keys that no content is under any more."""
    if keys:
        await db.execute(_UNUSED_KEYS, list(keys))


async def _drop(db: Any, month: str, detaching: bool | None) -> int:
    """Take a month out of the trail.

    It is detached before it is dropped, which waits until nobody reads it and lets everybody else go on meanwhile;
    `detaching` is None where that is done, and True where a run was killed in it.
    """
    count = await db.fetchval(f"SELECT count(*) FROM {month}")  # noqa: S608  (a name of ours)
    await db.execute(f"SET statement_timeout = {_WAIT_MS}")
    try:
        if detaching is not None:
            how = "FINALIZE" if detaching else "CONCURRENTLY"
            await db.execute(f"ALTER TABLE audit_entries DETACH PARTITION {month} {how}")
        await db.execute(f"DROP TABLE {month}")
    finally:
        if not db.is_closed():
            await db.execute("RESET statement_timeout")
    return int(count)


async def _delete_content(db: Any, until: int, limit: int) -> int:
    keys = [key_id for (key_id,) in await db.fetch(_CONTENT, until, limit)]
    await delete_unused(db, set(keys))
    return len(keys)
