"""The rollups of a SQLite trail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

import aiosqlite

from auditmw.stores.rollup_view import Dialect, Fetch
from auditmw.stores.rollups import Rollups, Transaction
from auditmw.stores.sqlite_connection import connect, explained, fetch

_SQLITE: Final = Dialect(
    entries="audit_entries AS e",
    leaf_index="e.leaf_index",
    run="e.leaf_index >= ?1 AND e.leaf_index < ?2",
    time="e.timestamp_us",
    during="e.timestamp_us >= ?1 AND e.timestamp_us < ?2",
    one_of="IN (SELECT value FROM json_each(?2))",
    keys="json_each(?1) AS k",
    part="json_extract(k.value, '$[{}]')",
)


def sqlite_rollups(
    path: str,
    transaction: Callable[[], AbstractAsyncContextManager[aiosqlite.Connection]],
    apart: Callable[[], AbstractAsyncContextManager[Any]],
) -> Rollups:
    """Reads through a connection of its own, open within `apart` alone, and writes in the store's transactions."""

    @asynccontextmanager
    async def reading() -> AsyncIterator[Fetch]:
        async with apart():
            with explained(path):
                db = await connect(path, write=False)
                try:
                    await db.execute("BEGIN")
                    yield partial(fetch, db)
                finally:
                    await db.close()

    @asynccontextmanager
    async def writing() -> AsyncIterator[Transaction]:
        async with transaction() as db:

            async def many(sql: str, rows: list[tuple[Any, ...]]) -> None:
                await db.executemany(sql, rows)

            yield Transaction(partial(fetch, db), many)

    return Rollups(_SQLITE, reading, writing)
