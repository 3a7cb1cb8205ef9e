"""How the entries of a PostgreSQL trail are asked for: their columns, their leaf indexes, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from auditmw.stores.columns import COLUMNS
from auditmw.stores.growth import slice_hashes

PAGE: Final = 500
NAMES: Final = {name: name.removesuffix("_us") if kind == "time" else name for name, kind in COLUMNS.items()}
"""Each stored field's column."""


def _value(name: str, column: str) -> str:
    """How a stored value is read: times as microseconds, infinite ones, which only tampering can store, as NULL."""
    if COLUMNS[name] == "time":
        return f"CASE WHEN isfinite(e.{column}) THEN (extract(epoch FROM e.{column}) * 1000000)::bigint END"
    return "w.writer" if name == "writer" else f"e.{column}"


VALUES: Final = ", ".join(_value(name, column) for name, column in NAMES.items())
LEAF_INDEX: Final = "b.first_leaf + e.seq - b.first_seq"
ENTRIES: Final = """
    FROM audit_batches AS b
    JOIN audit_entries AS e
        ON e.stored_at = b.stored_at AND e.writer_id = b.writer_id
        AND e.seq >= b.first_seq AND e.seq < b.first_seq + b.entry_count
    JOIN audit_writers AS w ON w.id = e.writer_id
"""
AFTER: Final = f"""{LEAF_INDEX} > ${{number}} AND b.first_leaf >= coalesce(
    (SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= ${{number}}), 0)"""  # noqa: S608  (constants)
BEFORE: Final = f"{LEAF_INDEX} < ${{number}} AND b.first_leaf < ${{number}}"
"""Conditions on leaf indexes; what they say of the batch lets its index be used."""
LEAF_HASHES: Final = """
    SELECT first_leaf, leaf_hashes FROM audit_batches
    WHERE first_leaf >= (SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= $1) AND first_leaf < $2
    ORDER BY first_leaf
"""


async def pages(db: asyncpg.Connection, cursor: str, sql: str, *values: Any) -> AsyncIterator[list[Any]]:
    """The rows of a query, page by page, inside a transaction.

    The cursor is SQL's own: the driver's would prepare a statement by name, which a pgbouncer may not keep.
    """
    await db.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR {sql}", *values)
    while page := await db.fetch(f"FETCH {PAGE} FROM {cursor}"):
        yield page
    await db.execute(f"CLOSE {cursor}")


async def leaf_hashes(db: asyncpg.Connection, first: int, until: int) -> bytes:
    """The stored hashes of the leaves [first, until), concatenated."""
    return slice_hashes(await db.fetch(LEAF_HASHES, first, until), first, until)
