"""Retention, erasure and access in a SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from auditmw.canonical import canonical_json
from auditmw.errors import ConfigurationError, SchemaMismatch
from auditmw.journal.state import HeldFile, hold_if_free
from auditmw.log.leaf import CONTENT
from auditmw.stores import path_of
from auditmw.stores.columns import COLUMNS, places_of
from auditmw.stores.filters import Condition
from auditmw.stores.growth import slice_hashes
from auditmw.stores.migrate import pending
from auditmw.stores.privacy import DeclaredEntry, ErasedRow, KeptContent, KeptRow, columns_of
from auditmw.stores.sqlite_connection import BUSY_TIMEOUT_MS, explained, no_trail, readable_uri

_BOOLEANS: Final = places_of("boolean")
_READ: Final = ", ".join("w.writer" if name == "writer" else f"e.{name}" for name in COLUMNS)
_ROWS: Final = f"""
    SELECT e.leaf_index, e.salts, e.erased, e.restricted, {_READ}
    FROM audit_entries AS e LEFT JOIN audit_writers AS w ON w.id = e.writer_id
    WHERE e.leaf_index >= ? AND e.leaf_index < ?
"""  # noqa: S608  (constants)
_LEAF_HASHES: Final = """
    SELECT first_leaf, leaf_hashes FROM audit_batches
    WHERE first_leaf >= (SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= ?) AND first_leaf < ?
    ORDER BY first_leaf
"""
_CONTENT: Final = """
    SELECT c.leaf_index, c.key_id, c.sealed, k.wrapped_by, k.wrapped
    FROM audit_content AS c LEFT JOIN audit_data_keys AS k ON k.key_id = c.key_id WHERE c.leaf_index = ?
"""
_UNUSED_KEY: Final = """
    DELETE FROM audit_data_keys WHERE key_id = ?1 AND NOT EXISTS (SELECT 1 FROM audit_content WHERE key_id = ?1)
"""
_LOCK: Final = "privacy.lock"
_PAUSE_SECONDS: Final = 0.05


class SqlitePrivacy:
    """One file, one connection, which overwrites with zeros what it removes."""

    one_writer = True

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock: HeldFile | None = None
        if not Path(path).is_file():
            raise ConfigurationError(f"there is no trail at {Path(path).absolute()}: check --db or AUDITMW_DB")
        with explained(path):
            uri = readable_uri(path, "rw")
            timeout = BUSY_TIMEOUT_MS / 1000
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout, check_same_thread=False)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            if not self._all("SELECT 1 FROM sqlite_master WHERE name = 'audit_schema'"):
                self._db.close()
                raise ConfigurationError(no_trail(path))
            ((version,),) = self._all("SELECT coalesce(max(version), 0) FROM audit_schema")
        if pending("sqlite", version):
            self._db.close()
            raise SchemaMismatch(f"{path} is of an older auditmw: run `auditmw migrate` on it first")

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The privacy side of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
        return cls(path_of(url))

    def head(self) -> tuple[str, int, int]:
        """The trail's origin, size and last time."""
        ((origin, size, stored_at_us),) = self._all("SELECT origin, size, stored_at_us FROM audit_trail")
        return origin, size, stored_at_us

    def rows(self, wanted: Sequence[Condition], first: int, until: int, limit: int) -> list[KeptRow]:
        """The entries that fit, in leaf order."""
        clauses = "".join(f" AND {'' if c.field == 'restricted' else '+'}e.{c.field} {c.operator} ?" for c in wanted)
        sql = f"{_ROWS}{clauses} ORDER BY e.leaf_index LIMIT ?"
        return [_row(row) for row in self._all(sql, first, until, *[c.value for c in wanted], limit)]

    def find(self, request_id: str) -> int | None:
        """The leaf index of an entry."""
        rows = self._all("SELECT leaf_index FROM audit_entries WHERE request_id = ?", request_id)
        return rows[0][0] if rows else None

    def first_leaf(self) -> int:
        """The first entry that is there."""
        sql = "SELECT coalesce((SELECT min(leaf_index) FROM audit_entries), (SELECT size FROM audit_trail))"
        return int(self._all(sql)[0][0])

    def leaf_since(self, stored_at_us: int) -> int:
        """The first entry stored at this time or later: times rise with the leaf index, so that a few looks do."""
        low, high = self.first_leaf(), self.head()[1]
        while low < high:
            middle = (low + high) // 2
            rows = self._all("SELECT stored_at_us FROM audit_entries WHERE leaf_index = ?", middle)
            if rows and rows[0][0] < stored_at_us:
                low = middle + 1
            else:
                high = middle
        return low

    def moments(self, since_us: int) -> list[int]:
        """When something was stored, by the hour."""
        sql = """
            SELECT min(stored_at_us) FROM audit_entries WHERE leaf_index >= ?1 GROUP BY stored_at_us / 3600000000
            UNION SELECT stored_at_us FROM audit_trail WHERE size > ?1 ORDER BY 1
        """
        return [moment for (moment,) in self._all(sql, self.leaf_since(since_us))]

    def leaf_hashes(self, first: int, until: int) -> bytes:
        """The stored hashes of these leaves."""
        return slice_hashes(self._all(_LEAF_HASHES, first, until), first, until)

    def controls(self, action: str, newest: int | None = None) -> list[DeclaredEntry]:
        """The control entries of an action."""
        sql = """
            SELECT leaf_index, request_id, timestamp_us, coalesce(metadata, '{}') FROM audit_entries
            WHERE kind = 'control' AND action = ? ORDER BY leaf_index DESC LIMIT ?
        """
        rows = self._all(sql, action, -1 if newest is None else newest)
        return [
            DeclaredEntry(leaf_index, request_id, moment, msgspec.json.decode(metadata))
            for leaf_index, request_id, moment, metadata in reversed(rows)
        ]

    def erase(self, rows: Sequence[ErasedRow], classes: int) -> None:
        """Remove the values of classes."""
        assignments = "".join(f", {name} = NULL" for name in columns_of(classes))
        sql = f"UPDATE audit_entries SET salts = ?, erased = ?{assignments} WHERE leaf_index = ?"  # noqa: S608  (constants)
        with self._transaction() as db:
            db.executemany(sql, [(salts, erased, row.leaf_index) for row, salts, erased in rows])
            if classes & CONTENT.bit:
                leaves = canonical_json([row.leaf_index for row, _, _ in rows]).decode()
                _delete_content(db, "leaf_index IN (SELECT value FROM json_each(?))", leaves)

    def restrict(self, rows: Sequence[KeptRow], erasure: str | None) -> None:
        """Mark entries as restricted, or as what they were."""
        sql = "UPDATE audit_entries SET restricted = ? WHERE leaf_index = ?"
        with self._transaction() as db:
            db.executemany(sql, [(erasure, row.leaf_index) for row in rows])

    def delete_before(self, leaf: int, limit: int) -> int | None:
        """Remove whole entries from the beginning."""
        with self._transaction() as db:
            first = self.first_leaf()
            until = min(leaf, first + limit)
            if until <= first:
                return None
            _delete_content(db, "leaf_index < ?", until)
            return db.execute("DELETE FROM audit_entries WHERE leaf_index < ?", (until,)).rowcount

    def scrub(self, seconds: float) -> list[str]:
        """Empty the write-ahead log, where what was removed still lies; a reader that holds it is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            ((busy, _, _),) = self._all("PRAGMA wal_checkpoint(TRUNCATE)")
            if not busy:
                return []
            if time.monotonic() >= deadline:
                return ["a reader holds the write-ahead log of SQLite, in which what was removed still lies"]
            time.sleep(_PAUSE_SECONDS)

    def left_behind(self) -> list[str]:
        """What no program can reach."""
        return ["copies and backups of the database file, and the blocks of the file system under it"]

    def content(self, leaf_index: int) -> KeptContent | None:
        """An entry's content."""
        rows = self._all(_CONTENT, leaf_index)
        return KeptContent(*rows[0]) if rows else None

    def data_keys(self, after: str, limit: int) -> list[tuple[str, str, bytes]]:
        """The keys of content."""
        sql = "SELECT key_id, wrapped_by, wrapped FROM audit_data_keys WHERE key_id > ? ORDER BY key_id LIMIT ?"
        return [(key_id, by, wrapped) for key_id, by, wrapped in self._all(sql, after, limit)]

    def rewrap(self, keys: Sequence[tuple[str, str, bytes]]) -> None:
        """Replace wrapped keys."""
        with self._transaction() as db:
            sql = "UPDATE audit_data_keys SET wrapped_by = ?, wrapped = ? WHERE key_id = ?"
            db.executemany(sql, [(by, wrapped, key_id) for key_id, by, wrapped in keys])

    def settings(self, prefix: str) -> dict[str, Any]:
        """The settings whose names begin so."""
        sql = "SELECT name, value FROM audit_settings WHERE substr(name, 1, ?) = ? ORDER BY name"
        return {name: msgspec.json.decode(value) for name, value in self._all(sql, len(prefix), prefix)}

    def set_setting(self, name: str, value: Any) -> None:
        """Keep a setting."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO audit_settings VALUES (?, ?)", (name, canonical_json(value).decode()))

    def delete_setting(self, name: str) -> None:
        """Remove a setting."""
        with self._transaction() as db:
            db.execute("DELETE FROM audit_settings WHERE name = ?", (name,))

    def lock(self) -> bool:
        """Lock a file beside the database."""
        directory = Path(f"{self._path}.auditmw")
        directory.mkdir(mode=0o700, exist_ok=True)
        self._lock = hold_if_free(directory / _LOCK)
        return self._lock is not None

    def unlock(self) -> None:
        """Let go of the file."""
        if self._lock is not None:
            self._lock.remove()
            self._lock = None

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with explained(self._path):
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with explained(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._db.rollback()
                raise


def _delete_content(db: sqlite3.Connection, condition: str, value: Any) -> None:
    sql = f"DELETE FROM audit_content WHERE {condition} RETURNING key_id"  # noqa: S608  (constants)
    db.executemany(_UNUSED_KEY, sorted(set(db.execute(sql, (value,)).fetchall())))


def _row(row: tuple[Any, ...]) -> KeptRow:
    leaf_index, salts, erased, restricted, *values = row
    for place in _BOOLEANS:
        if values[place] is not None:
            values[place] = bool(values[place])
    return KeptRow(leaf_index, salts, erased, values, restricted)
