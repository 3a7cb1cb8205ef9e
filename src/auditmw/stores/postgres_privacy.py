"""Retention, erasure and access in PostgreSQL, as the owner of the trail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, Final, Self

import asyncpg
import msgspec

from auditmw.canonical import canonical_json
from auditmw.entry import to_datetime, to_us
from auditmw.errors import ConfigurationError
from auditmw.log.leaf import CONTENT, STORED_FIELDS
from auditmw.stores.columns import COLUMNS
from auditmw.stores.filters import Condition
from auditmw.stores.growth import slice_hashes
from auditmw.stores.partitions import Month
from auditmw.stores.postgres_connection import PostgresUrl, explained
from auditmw.stores.postgres_pruning import delete_before, delete_unused, first_leaf, leaf_since
from auditmw.stores.postgres_rows import ENTRIES, LEAF_HASHES, LEAF_INDEX, NAMES, VALUES
from auditmw.stores.postgres_schema import prepare_schema
from auditmw.stores.privacy import UNSCRUBBED, DeclaredEntry, ErasedRow, KeptContent, KeptRow, columns_of

_STORED_AT: Final = STORED_FIELDS.index("stored_at_us")
_WRITER: Final = STORED_FIELDS.index("writer")
_SEQ: Final = STORED_FIELDS.index("seq")
_FROM_BATCH: Final = "b.first_leaf >= coalesce((SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= $1), $1)"
_ROWS: Final = f"""
    SELECT {LEAF_INDEX}, e.salts, e.erased, e.restricted, {VALUES}
    FROM audit_batches AS b
    CROSS JOIN LATERAL (
        SELECT * FROM audit_entries AS o
        WHERE o.stored_at = b.stored_at AND o.writer_id = b.writer_id
            AND o.seq >= b.first_seq AND o.seq < b.first_seq + b.entry_count {{wanted}}
        ORDER BY o.seq
    ) AS e
    JOIN audit_writers AS w ON w.id = e.writer_id
    WHERE {_FROM_BATCH} AND b.first_leaf < $2 AND {LEAF_INDEX} >= $1 AND {LEAF_INDEX} < $2
    ORDER BY b.first_leaf, e.seq LIMIT $3
"""  # noqa: S608  (constants)
"""Batch by batch, whatever the planner makes of tables that have grown since they were analyzed."""
_CONTROLS: Final = f"""
    SELECT {LEAF_INDEX}, e.request_id, e.timestamp, coalesce(e.metadata, '{{}}') {ENTRIES}
    WHERE e.kind = 'control' AND e.action = $1 ORDER BY b.first_leaf DESC, e.seq DESC LIMIT $2
"""
_CONTENT: Final = """
    SELECT c.leaf_index, c.key_id, c.sealed, k.wrapped_by, k.wrapped
    FROM audit_content AS c LEFT JOIN audit_data_keys AS k ON k.key_id = c.key_id WHERE c.leaf_index = $1
"""
_UPDATE: Final = """
    UPDATE audit_entries SET {changes}
    WHERE stored_at = $1 AND writer_id = (SELECT id FROM audit_writers WHERE writer = $2) AND seq = $3
"""
_OLD_SNAPSHOTS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database() AND age(backend_xmin) > age($1::text::xid)
"""
_SET: Final = "INSERT INTO audit_settings VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_NOTE_LEFT: Final = _SET.replace("VALUES ($1, $2)", "SELECT $1, $2 FROM audit_settings WHERE name = $3")
_LEFT: Final = "scrub/postgres"
"""Which tables still hold what was erased in this process or another, and the transaction that must be seen by all."""
_LOCK: Final = int.from_bytes(b"privacy", "big")
_ALWAYS: Final = (
    *("audit_content", "audit_data_keys", "audit_settings"),
    *("audit_rollup_day", "audit_rollup_user", "audit_rollup_week"),
)
_PARENT: Final = "audit_entries"
_STATISTICS: Final = "pg_statistic"
"""Where the most common values of a column lie, after the last ANALYZE and before it."""
_PAUSE_SECONDS: Final = 0.1


class PostgresPrivacy:
    """One connection, used from blocking code."""

    one_writer = False

    def __init__(self, url: PostgresUrl) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._touched: set[str] = set()
        self._last_change: str | None = None
        try:
            self._db = self._run(_open(url))
        except BaseException:
            self._runner.close()
            raise

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The privacy side of `postgresql://...`."""
        return cls(PostgresUrl.parse(url))

    def head(self) -> tuple[str, int, int]:
        """The trail's origin, size and last time."""
        ((origin, size, stored_at),) = self._all("SELECT origin, size, stored_at FROM audit_trail")
        return origin, size, to_us(stored_at)

    def rows(self, wanted: Sequence[Condition], first: int, until: int, limit: int) -> list[KeptRow]:
        """The entries that fit, in leaf order."""
        if not wanted:  # all of them are there, but for those before the first
            first = max(first, self.first_leaf())
            until = min(until, first + limit)
        clauses = "".join(
            f" AND o.{NAMES.get(c.field, c.field)} {c.operator} ${number}" for number, c in enumerate(wanted, 4)
        )
        values = [to_datetime(c.value) if COLUMNS.get(c.field) == "time" else c.value for c in wanted]
        rows = self._all(_ROWS.format(wanted=clauses), first, until, limit, *values)
        return [KeptRow(index, salts, erased, values, restricted) for index, salts, erased, restricted, *values in rows]

    def find(self, request_id: str) -> int | None:
        """The leaf index of an entry."""
        rows = self._all(f"SELECT {LEAF_INDEX} {ENTRIES} WHERE e.request_id = $1 LIMIT 1", request_id)
        return rows[0][0] if rows else None

    def first_leaf(self) -> int:
        """The first entry that is there."""
        found = self._run(first_leaf(self._db))
        return self.head()[1] if found is None else int(found)

    def leaf_since(self, stored_at_us: int) -> int:
        """The first entry stored at this time or later."""
        found = self._run(leaf_since(self._db, to_datetime(stored_at_us)))
        return self.head()[1] if found is None else int(found)

    def moments(self, since_us: int) -> list[int]:
        """When something was stored, by the hour."""
        sql = """
            SELECT min(stored_at) FROM audit_batches WHERE stored_at >= $1 GROUP BY date_trunc('hour', stored_at)
            UNION SELECT stored_at FROM audit_trail WHERE stored_at >= $1 ORDER BY 1
        """
        return [to_us(moment) for (moment,) in self._all(sql, to_datetime(since_us))]

    def leaf_hashes(self, first: int, until: int) -> bytes:
        """The stored hashes of these leaves."""
        return slice_hashes([(row[0], row[1]) for row in self._all(LEAF_HASHES, first, until)], first, until)

    def controls(self, action: str, newest: int | None = None) -> list[DeclaredEntry]:
        """The control entries of an action."""
        rows = self._all(_CONTROLS, action, newest)
        return [
            DeclaredEntry(leaf_index, request_id, to_us(moment), msgspec.json.decode(metadata))
            for leaf_index, request_id, moment, metadata in reversed(rows)
        ]

    def erase(self, rows: Sequence[ErasedRow], classes: int) -> None:
        """Remove the values of classes."""
        self._run(self._erase(rows, classes))

    def restrict(self, rows: Sequence[KeptRow], erasure: str | None) -> None:
        """Mark entries as restricted, or as what they were."""
        sql = _UPDATE.format(changes="restricted = $4")
        self._run(self._db.executemany(sql, [(*_place(row), erasure) for row in rows]))

    async def _erase(self, rows: Sequence[ErasedRow], classes: int) -> None:
        assignments = "".join(f", {name} = NULL" for name in columns_of(classes))
        sql = _UPDATE.format(changes=f"salts = $4, erased = $5{assignments}")
        places = [(*_place(row), salts, erased) for row, salts, erased in rows]
        async with self._db.transaction():
            await self._db.executemany(sql, places)
            if classes & CONTENT.bit:
                leaves = [row.leaf_index for row, _, _ in rows]
                sql = "DELETE FROM audit_content WHERE leaf_index = ANY($1::bigint[]) RETURNING key_id"
                await delete_unused(self._db, {key_id for (key_id,) in await self._db.fetch(sql, leaves)})
            self._last_change = str(await self._db.fetchval("SELECT pg_current_xact_id()::xid::text"))
            self._touched |= {Month.of(stored_at).table for stored_at, *_ in places}
            left = canonical_json({"tables": sorted(self._touched), "last_change": self._last_change}).decode()
            await self._db.execute(_NOTE_LEFT, _LEFT, left, UNSCRUBBED)  # another process may have to go on

    def delete_before(self, leaf: int, limit: int) -> int | None:
        """Remove whole entries: months as partitions, the rest in batches."""
        removed: int | None = self._run(delete_before(self._db, leaf, limit))
        return removed

    def scrub(self, seconds: float) -> list[str]:
        """Write the tables anew that hold what was removed, when nobody can see it any more."""
        deadline = time.monotonic() + seconds
        left_before = self.settings(_LEFT).get(_LEFT)
        if left_before is not None:
            self._touched.update(left_before["tables"])
            self._last_change = self._last_change or left_before["last_change"]
        while self._last_change is not None and self._all(_OLD_SNAPSHOTS, self._last_change)[0][0]:
            if time.monotonic() >= deadline:
                return ["a transaction from before the erasure is still open, so that its rows cannot be vacuumed yet"]
            time.sleep(_PAUSE_SECONDS)
        left: list[str] = self._run(self._vacuum(deadline))
        if not left:
            self._touched.clear()
            self.delete_setting(_LEFT)
        return left

    async def _vacuum(self, deadline: float) -> list[str]:
        left = []
        tables = [*sorted(self._touched), *_ALWAYS, _PARENT, _STATISTICS]
        for table in tables:
            timeout_ms = max(1000, int((deadline - time.monotonic()) * 1000))
            await self._db.execute(f"SET lock_timeout = {timeout_ms}")
            try:
                if table != _PARENT:
                    await self._db.execute(f"VACUUM (FULL) {table}")
                if table != _STATISTICS:
                    await self._db.execute(f"ANALYZE {table}")
            except (asyncpg.LockNotAvailableError, asyncpg.InsufficientPrivilegeError) as error:
                left.append(f"{table} could not be vacuumed: {error}")
        await self._db.execute("RESET lock_timeout")
        return left

    def left_behind(self) -> list[str]:
        """What no client can reach."""
        return [
            "PostgreSQL's write-ahead log (pg_wal), until it is recycled, and its archive",
            "replicas, until they have replayed the erasure",
            "the server's log files, where statements are logged",
            "backups and dumps of the database",
        ]

    def content(self, leaf_index: int) -> KeptContent | None:
        """An entry's content."""
        rows = self._all(_CONTENT, leaf_index)
        return KeptContent(*rows[0]) if rows else None

    def data_keys(self, after: str, limit: int) -> list[tuple[str, str, bytes]]:
        """The keys of content."""
        sql = "SELECT key_id, wrapped_by, wrapped FROM audit_data_keys WHERE key_id > $1 ORDER BY key_id LIMIT $2"
        return [tuple(row) for row in self._all(sql, after, limit)]

    def rewrap(self, keys: Sequence[tuple[str, str, bytes]]) -> None:
        """Replace wrapped keys."""
        sql = "UPDATE audit_data_keys SET wrapped_by = $2, wrapped = $3 WHERE key_id = $1"
        self._run(self._db.executemany(sql, keys))

    def settings(self, prefix: str) -> dict[str, Any]:
        """The settings whose names begin so."""
        rows = self._all("SELECT name, value FROM audit_settings WHERE starts_with(name, $1) ORDER BY name", prefix)
        return {name: msgspec.json.decode(value) for name, value in rows}

    def set_setting(self, name: str, value: Any) -> None:
        """Keep a setting."""
        self._run(self._db.execute(_SET, name, canonical_json(value).decode()))

    def delete_setting(self, name: str) -> None:
        """Remove a setting."""
        self._run(self._db.execute("DELETE FROM audit_settings WHERE name = $1", name))

    def lock(self) -> bool:
        """Take an advisory lock, which ends with the connection."""
        return bool(self._all("SELECT pg_try_advisory_lock($1)", _LOCK)[0][0])

    def unlock(self) -> None:
        """Give the lock back."""
        self._all("SELECT pg_advisory_unlock($1)", _LOCK)

    def close(self) -> None:
        """Close the connection."""
        self._db.terminate()
        self._runner.close()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        rows: list[Any] = self._run(self._db.fetch(sql, *values))
        return rows

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        with explained(self._url):
            return self._runner.run(work)


def _place(row: KeptRow) -> tuple[datetime, str, int]:
    return to_datetime(row.values[_STORED_AT]), row.values[_WRITER], row.values[_SEQ]


async def _open(url: PostgresUrl) -> Any:
    db = await url.connect()
    try:
        if await db.fetchval("SELECT to_regclass('audit_schema')") is None:
            raise ConfigurationError(f"there is no trail at {url.shown}: check --db or AUDITMW_DB")
        await prepare_schema(db, read_only=True)
    except BaseException:
        db.terminate()
        raise
    return db
