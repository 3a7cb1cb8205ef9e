"""The rollups of a PostgreSQL trail, on a connection of their own, so that they hold nobody up who writes entries."""

from __future__ import annotations

# ruff: noqa: S608  (constants)
import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from auditmw.stores.postgres_connection import WRITE_SECONDS, PostgresUrl, explained
from auditmw.stores.postgres_rows import ENTRIES, LEAF_INDEX
from auditmw.stores.rollup_view import Dialect, Fetch
from auditmw.stores.rollups import Rollups, Transaction

_MOMENT: Final = "('epoch'::timestamptz + {}::bigint * interval '1 microsecond')"
_POSTGRES: Final = Dialect(
    entries=ENTRIES.partition("FROM")[2].partition("JOIN audit_writers")[0],  # which cost more than the rest
    leaf_index=f"({LEAF_INDEX})",
    run=(
        "b.first_leaf >= (SELECT coalesce(max(first_leaf), 0) FROM audit_batches WHERE first_leaf <= ?1) "
        f"AND b.first_leaf < ?2 AND {LEAF_INDEX} >= ?1 AND {LEAF_INDEX} < ?2"
    ),
    time="(extract(epoch FROM e.timestamp) * 1000000)::bigint",
    during=f"e.timestamp >= {_MOMENT.format('?1')} AND e.timestamp < {_MOMENT.format('?2')}",
    one_of="= ANY (ARRAY(SELECT json_array_elements_text(?2::text::json)))",
    keys="json_array_elements(?1::text::json) AS k (value)",
    part="k.value ->> {}",
)
_FOR_SUMS: Final = "SET LOCAL jit = off; SET LOCAL work_mem = '64MB'; SET LOCAL max_parallel_workers_per_gather = 0"
"""Ten thousand rows are summed up faster by hashing than by sorting, and before other workers have begun."""
_PLACE: Final = re.compile(r"\?(\d+)")


class PostgresRollups(Rollups):
    """Two connections: one that reads and one that writes, each for one use at a time."""

    def __init__(self, url: PostgresUrl) -> None:
        super().__init__(_POSTGRES, self._read, self._write)
        self._url = url
        self._connections: dict[str, asyncpg.Connection] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """Close both connections."""
        for db in self._connections.values():
            db.terminate()
        self._connections, self._locks = {}, {}

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[Fetch]:
        async with self._connection("reads") as db, db.transaction(isolation="repeatable_read", readonly=True):
            await db.execute(_FOR_SUMS)
            yield _fetching(db)

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[Transaction]:
        async with self._connection("writes") as db, db.transaction():

            async def many(sql: str, rows: list[tuple[Any, ...]]) -> None:
                await db.executemany(_placed(sql), rows)

            yield Transaction(_fetching(db), many)

    @asynccontextmanager
    async def _connection(self, use: str) -> AsyncIterator[asyncpg.Connection]:
        async with self._locks.setdefault(use, asyncio.Lock()):
            with explained(self._url):
                db = self._connections.get(use)
                if db is None or db.is_closed():
                    db = self._connections[use] = await self._url.connect(WRITE_SECONDS)
                try:
                    yield db
                except BaseException:
                    db.terminate()
                    raise


def _fetching(db: asyncpg.Connection) -> Fetch:
    async def fetch(sql: str, *values: Any) -> Any:
        return await db.fetch(_placed(sql), *values)

    return fetch


def _placed(sql: str) -> str:
    return _PLACE.sub(r"$\1", sql)
