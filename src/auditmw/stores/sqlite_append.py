"""How a batch gets into a SQLite trail: one transaction, in one go on the connection's own thread.

Whoever steps through a statement lets go of the interpreter lock and asks for it again. Beside a busy application each
time may take 5 ms, so that a batch is written by a handful of statements, each for many rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from auditmw.log.merkle import Frontier
from auditmw.stores.ahead import Ready
from auditmw.stores.columns import COLUMNS, Leaf, content_rows
from auditmw.stores.filled import FilledColumns
from auditmw.stores.growth import FIRST_SEQ, already_stored, fills_tile, grow, slice_hashes, stored_at, tile_start
from auditmw.stores.sqlite_heads import LEAF_HASHES

MOST_ROWS: Final = 128
"""In one statement; also a power of two, so that a few statements serve batches of any length."""
_NAMES: Final = list(COLUMNS)
_OWN: Final = ("leaf_index", "writer_id", "salts")
_HEAD: Final = """
    SELECT t.size, t.frontier, t.stored_at_us, w.id, w.last_seq
    FROM audit_trail AS t LEFT JOIN audit_writers AS w ON w.writer = ?
"""


class Appending:
    """Appends batches to one trail."""

    def __init__(self) -> None:
        self._columns = FilledColumns(apart={"writer"})
        self._statements: dict[int, str] = {}

    def append(self, db: sqlite3.Connection, ready: Ready, now_us: int) -> tuple[int, int | None]:
        """Store a batch exactly once; returns how many entries were new, and when they are said to be stored.

        Raises SequenceGap, PoisonEntry and what SQLite raises; then nothing is stored.
        """
        db.execute("BEGIN IMMEDIATE")
        try:
            appended = self._append(db, ready, now_us)
            db.execute("COMMIT")
        except BaseException:
            db.rollback()
            raise
        return appended

    def _append(self, db: sqlite3.Connection, ready: Ready, now_us: int) -> tuple[int, int | None]:
        batch = ready.batch
        size, frontier, last_us, writer_id, last_seq = db.execute(_HEAD, (batch.writer,)).fetchone()
        known = already_stored(batch, FIRST_SEQ - 1 if last_seq is None else last_seq)
        if known == len(batch.entries):
            return 0, None
        stored_at_us = stored_at(now_us, last_us)
        leaves = ready.leaves(known, stored_at_us)
        if writer_id is None:
            claim = "INSERT INTO audit_writers (writer, last_seq) VALUES (?, ?) RETURNING id"
            ((writer_id,),) = db.execute(claim, (batch.writer, batch.last_seq)).fetchall()
        else:
            db.execute("UPDATE audit_writers SET last_seq = ? WHERE id = ?", (batch.last_seq, writer_id))
        self._insert(db, leaves, size, writer_id)
        _insert_content(db, leaves, size)
        hashes = [leaf.hash for leaf in leaves]
        grown = grow(Frontier.from_bytes(frontier), hashes, _partial_tile(db, size, len(hashes)))
        db.execute(
            "INSERT INTO audit_batches VALUES (?, ?, ?, ?, ?)",
            (size, writer_id, batch.first_seq + known, len(hashes), b"".join(hashes)),
        )
        db.executemany("INSERT INTO audit_tiles VALUES (?, ?)", grown.tile_roots)
        db.execute(
            "UPDATE audit_trail SET size = ?, frontier = ?, stored_at_us = ?",
            (grown.frontier.size, grown.frontier.to_bytes(), stored_at_us),
        )
        return len(hashes), stored_at_us

    def _insert(self, db: sqlite3.Connection, leaves: Sequence[Leaf], size: int, writer_id: int) -> None:
        if self._columns.cover(leaf.row for leaf in leaves):
            self._statements.clear()
        values_of = self._columns.values_of
        values: list[Any] = []
        for leaf_index, leaf in enumerate(leaves, size):
            values += (leaf_index, writer_id, leaf.salts, *values_of(leaf.row))
        width, start, left = len(self._columns.places) + len(_OWN), 0, len(leaves)
        while left:
            rows = min(MOST_ROWS, 1 << left.bit_length() - 1)
            db.execute(self._statement(rows), values[start * width : (start + rows) * width])
            start, left = start + rows, left - rows

    def _statement(self, rows: int) -> str:
        if rows not in self._statements:
            names = [*_OWN, *(_NAMES[place] for place in self._columns.places)]
            marks = f"({', '.join('?' * len(names))})"
            values = ", ".join([marks] * rows)
            self._statements[rows] = f"INSERT INTO audit_entries ({', '.join(names)}) VALUES {values}"  # noqa: S608  (constants)
        return self._statements[rows]


def _partial_tile(db: sqlite3.Connection, size: int, count: int) -> bytes:
    """The hashes of the last, partly filled tile, if so many leaves fill it up."""
    if not fills_tile(size, count):
        return b""
    first = tile_start(size)
    return slice_hashes(db.execute(LEAF_HASHES, (first, size)).fetchall(), first, size)


def _insert_content(db: sqlite3.Connection, leaves: Sequence[Leaf], size: int) -> None:
    keys, contents = content_rows(leaves, size)
    db.executemany("INSERT OR IGNORE INTO audit_data_keys VALUES (?, ?, ?)", keys)
    db.executemany("INSERT INTO audit_content VALUES (?, ?, ?, ?)", contents)
