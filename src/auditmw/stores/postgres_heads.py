"""The heads of a PostgreSQL trail, for whoever signs them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final

import asyncpg

from auditmw.entry import to_us
from auditmw.stores.heads import SIGNING, Tree
from auditmw.stores.postgres_rows import leaf_hashes

_LEASE: Final = """
    INSERT INTO audit_leases AS l (name, owner, expires) VALUES ($1, $2, clock_timestamp() + $3)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires = excluded.expires
    WHERE l.owner = excluded.owner OR l.expires <= clock_timestamp()
    RETURNING l.owner
"""


class PostgresHeads:
    """Uses the store's own connection."""

    def __init__(self, connection: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]) -> None:
        self._connection = connection

    async def lease(self, owner: str, seconds: float) -> bool:
        """Take the signing lease, or keep it."""
        async with self._connection() as db:
            return await db.fetchval(_LEASE, SIGNING, owner, timedelta(seconds=seconds)) is not None

    async def release(self, owner: str) -> None:
        """Give the lease back."""
        async with self._connection() as db:
            await db.execute("DELETE FROM audit_leases WHERE name = $1 AND owner = $2", SIGNING, owner)

    async def tree(self, signed: int) -> Tree:
        """The tree as it is now."""
        async with self._connection() as db, db.transaction(isolation="repeatable_read", readonly=True):
            trail = await db.fetchrow("SELECT origin, size, frontier, stored_at FROM audit_trail")
            note = await db.fetchval("SELECT note FROM audit_checkpoints ORDER BY size DESC, length(note) DESC LIMIT 1")
            size = trail["size"]
            hashes = await leaf_hashes(db, signed, size) if signed < size else b""
        return Tree(trail["origin"], size, trail["frontier"], to_us(trail["stored_at"]), hashes, note)

    async def add(self, size: int, note: str) -> None:
        """Keep a checkpoint."""
        async with self._connection() as db:
            await db.execute("INSERT INTO audit_checkpoints VALUES ($1, $2) ON CONFLICT DO NOTHING", size, note)
