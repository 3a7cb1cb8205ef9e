"""A SQLite trail as a verifier sees it: one read transaction, nothing written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from auditmw.errors import NoTrail, SchemaMismatch, StoreUnavailable, TrailDamaged
from auditmw.log.examine import Chunk, Control, Row, StoredBatch
from auditmw.log.leaf import content_commitment
from auditmw.log.tiles import TILE_WIDTH
from auditmw.log.verify import Strays, TrailHead
from auditmw.stores import path_of
from auditmw.stores.columns import COLUMNS
from auditmw.stores.evidence import MAX_STRAYS, Extent, SealedItem, retain_entry
from auditmw.stores.growth import slice_hashes
from auditmw.stores.migrate import pending
from auditmw.stores.sqlite_connection import no_trail

BUSY_TIMEOUT_S: Final = 10.0

_PASSING: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
}
_BOOLEAN: Final = "auditmw_boolean"
_AS_BOOLEAN: Final = {b"0": False, b"1": True}
sqlite3.register_converter(_BOOLEAN, lambda stored: _AS_BOOLEAN[stored] if stored in _AS_BOOLEAN else int(stored))
_READ: Final = ", ".join(
    "w.writer" if name == "writer" else f'e.{name} AS "{name} [{_BOOLEAN}]"' if kind == "boolean" else f"e.{name}"
    for name, kind in COLUMNS.items()
)
_ROWS: Final = f"""
    SELECT e.leaf_index, e.salts, e.erased, e.restricted, {_READ}
    FROM audit_entries AS e LEFT JOIN audit_writers AS w ON w.id = e.writer_id
    WHERE e.leaf_index >= ? AND e.leaf_index < ? ORDER BY e.leaf_index
"""  # noqa: S608  (constants)
_BATCHES: Final = """
    SELECT b.first_leaf, w.writer, b.first_seq, b.entry_count, b.leaf_hashes
    FROM audit_batches AS b LEFT JOIN audit_writers AS w ON w.id = b.writer_id
    WHERE b.first_leaf >= coalesce((SELECT max(first_leaf) FROM audit_batches WHERE first_leaf <= ?1), ?1)
        AND b.first_leaf < ?2
    ORDER BY b.first_leaf
"""
_CONTENTS: Final = "SELECT leaf_index, salt, sealed FROM audit_content WHERE leaf_index >= ? AND leaf_index < ?"
_RETAINED: Final = """
    SELECT leaf_index, metadata FROM audit_entries
    WHERE kind = 'control' AND action = 'retain' AND metadata LIKE '%"first_leaf"%' ORDER BY leaf_index
"""
_STRAY_ROWS: Final = """
    SELECT leaf_index, request_id FROM audit_entries WHERE leaf_index < 0 OR leaf_index >= ? LIMIT ?
"""
_SIGNED: Final = (
    "SELECT note FROM audit_checkpoints WHERE instr(note, char(10) || char(10)) > 0 ORDER BY size DESC LIMIT 1"
)


class SqliteEvidence:
    """One file, one connection.

    Where nobody has the file open it is read as one that never changes: otherwise SQLite would leave two files beside
    it, which may belong to a user that the application is not.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._before = self._state()
        if not self._before[1]:
            raise NoTrail(f"there is no trail at {self._path.absolute()}")
        log = self._path.with_name(f"{self._path.name}-wal")
        self._alone = not log.exists() or not log.stat().st_size
        uri = f"file:{quote(path)}?mode=ro{'&immutable=1' * self._alone}"
        with self._explained():
            self._db = sqlite3.connect(
                uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, detect_types=sqlite3.PARSE_COLNAMES
            )
        try:
            with self._explained():
                self._check_schema()
                self._db.execute("BEGIN")
        except BaseException:
            self._db.close()
            raise

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The reader of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
        return cls(path_of(url))

    def head(self) -> TrailHead | None:
        """What the trail says of itself."""
        rows = self._all("SELECT origin, size, frontier, stored_at_us, key_id FROM audit_trail")
        return TrailHead(*rows[0]) if rows else None

    def extent(self) -> Extent:
        """Where the entries lie."""
        first = "SELECT coalesce(min(leaf_index), 0) FROM audit_entries WHERE leaf_index >= 0"
        until = "SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_entries"
        count = "SELECT count(*) FROM audit_entries"
        return Extent(*[int(self._all(sql)[0][0]) for sql in (first, until, count)])

    def retained(self) -> list[Control]:
        """The control entries that say that the trail's beginning is gone."""
        return [retain_entry(leaf_index, metadata) for leaf_index, metadata in self._all(_RETAINED)]

    def chunk(self, first: int, until: int) -> Chunk:
        """All that is stored about these leaves."""
        tiles = "SELECT tile, root FROM audit_tiles WHERE tile >= ? AND tile < ?"
        checkpoints = "SELECT size, note FROM audit_checkpoints WHERE size > ? AND size <= ? ORDER BY size, note"
        return Chunk(
            first,
            until,
            [Row(row[0], row[1], row[2], row[4:], row[3]) for row in self._all(_ROWS, first, until)],
            [
                batch
                for batch in map(StoredBatch._make, self._all(_BATCHES, first, until))
                if batch.first_leaf + batch.entry_count > first
            ],
            dict(self._all(tiles, first // TILE_WIDTH, until // TILE_WIDTH)),
            self._all(checkpoints, first, until),
            {index: content_commitment(salt, sealed) for index, salt, sealed in self._all(_CONTENTS, first, until)},
        )

    def strays(self, head: TrailHead) -> Strays:
        """Some of what belongs to no leaf."""
        tiles = "SELECT tile FROM audit_tiles WHERE tile < 0 OR tile >= ? LIMIT ?"
        checkpoints = "SELECT size FROM audit_checkpoints WHERE size < 1 OR size > ? ORDER BY size DESC LIMIT ?"
        return Strays(
            self._all(_STRAY_ROWS, head.size, MAX_STRAYS),
            [number for (number,) in self._all(tiles, head.size // TILE_WIDTH, MAX_STRAYS)],
            [size for (size,) in self._all(checkpoints, head.size, MAX_STRAYS)],
        )

    def writers(self) -> dict[str, int]:
        """The last number of each writer."""
        return dict(self._all("SELECT writer, last_seq FROM audit_writers"))

    def find(self, request_id: str) -> int | None:
        """The leaf index of an entry."""
        rows = self._all("SELECT leaf_index FROM audit_entries WHERE request_id = ?", request_id)
        return rows[0][0] if rows else None

    def tile_roots(self, count: int) -> list[bytes]:
        """The roots of the first tiles."""
        return [root for (root,) in self._all("SELECT root FROM audit_tiles WHERE tile < ? ORDER BY tile", count)]

    def leaf_hashes(self, first: int, until: int) -> bytes:
        """The stored hashes of these leaves."""
        return slice_hashes([(row[0], row[4]) for row in self._all(_BATCHES, first, until)], first, until)

    def content(self, leaf_index: int) -> SealedItem | None:
        """An entry's content under lock."""
        rows = self._all("SELECT salt, sealed FROM audit_content WHERE leaf_index = ?", leaf_index)
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
        """Whether the file changed although nobody had it open when this began."""
        return self._alone and self._state() != self._before

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._explained():
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.OperationalError as error:
                if "UTF-8" not in str(error):
                    raise
            return self._all_leniently(sql, values)

    def _all_leniently(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Text that is no UTF-8, which nobody writes, as text that gives no leaf: lone surrogates."""
        self._db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            return self._db.execute(sql, values).fetchall()
        finally:
            self._db.text_factory = str

    def _state(self) -> tuple[int, int]:
        """When the file was changed last, and its size."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_mtime_ns, found.st_size

    def _check_schema(self) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_schema'").fetchall():
            raise NoTrail(no_trail(self._path))
        ((version,),) = self._db.execute("SELECT coalesce(max(version), 0) FROM audit_schema").fetchall()
        if pending("sqlite", version):
            raise SchemaMismatch(f"{self._path} is of an older auditmw: run `auditmw migrate` on it first")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _PASSING:
                raise StoreUnavailable(f"{self._path} cannot be read for now: {error}") from error
            raise TrailDamaged(f"{self._path} cannot be read as it was written: {error}") from error
