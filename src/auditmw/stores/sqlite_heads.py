"""The heads of a SQLite trail, for whoever signs them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import aiosqlite

from auditmw.clock import Clock
from auditmw.stores.growth import slice_hashes
from auditmw.stores.heads import SIGNING, Tree
from auditmw.stores.sqlite_connection import fetch

_LEASE: Final = """
    INSERT INTO audit_leases (name, owner, expires_us) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_us = excluded.expires_us
    WHERE owner = excluded.owner OR expires_us <= ?4
    RETURNING owner
"""
LEAF_HASHES: Final = """
    SELECT first_leaf, leaf_hashes FROM audit_batches
    WHERE first_leaf >= (SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= ?) AND first_leaf < ?
    ORDER BY first_leaf
"""


class SqliteHeads:
    """Uses the store's own transactions."""

    def __init__(
        self, transaction: Callable[[], AbstractAsyncContextManager[aiosqlite.Connection]], clock: Clock
    ) -> None:
        self._transaction = transaction
        self._clock = clock

    async def lease(self, owner: str, seconds: float) -> bool:
        """Take the signing lease, or keep it."""
        now_us = self._clock.now_us()
        async with self._transaction() as db:
            return bool(await fetch(db, _LEASE, SIGNING, owner, now_us + int(seconds * 1_000_000), now_us))

    async def release(self, owner: str) -> None:
        """Give the lease back."""
        async with self._transaction() as db:
            await db.execute("DELETE FROM audit_leases WHERE name = ? AND owner = ?", (SIGNING, owner))

    async def tree(self, signed: int) -> Tree:
        """The tree as it is now."""
        async with self._transaction() as db:
            ((origin, size, frontier, stored_at_us),) = await fetch(
                db, "SELECT origin, size, frontier, stored_at_us FROM audit_trail"
            )
            notes = await fetch(db, "SELECT note FROM audit_checkpoints ORDER BY size DESC, length(note) DESC LIMIT 1")
            hashes = await leaf_hashes(db, signed, size)
        return Tree(origin, size, frontier, stored_at_us, hashes, notes[0][0] if notes else None)

    async def add(self, size: int, note: str) -> None:
        """Keep a checkpoint."""
        async with self._transaction() as db:
            await db.execute("INSERT INTO audit_checkpoints VALUES (?, ?) ON CONFLICT DO NOTHING", (size, note))


async def leaf_hashes(db: aiosqlite.Connection, first: int, until: int) -> bytes:
    """The stored hashes of the leaves [first, until), concatenated."""
    return slice_hashes(await fetch(db, LEAF_HASHES, first, until), first, until) if first < until else b""
