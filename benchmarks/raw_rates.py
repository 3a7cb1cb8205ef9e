"""What a database takes raw: the rows of so many entries into the very tables of a trail, and nothing else.

executemany of the standard library's driver into SQLite, binary COPY of asyncpg into PostgreSQL; every batch is
committed, as durably as the trail does it. The rows are those that the writer would store, each with its own id, number
and salts.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import Any

from auditmw.entry import AuditEntry, to_datetime
from auditmw.stores import store_for
from auditmw.stores.columns import COLUMNS, WRITER, make_leaves, places_of
from auditmw.stores.protocol import Batch
from auditmw.stores.sqlite import SqliteStore

STORED_AT_US = 1_795_000_000_000_000
Row = list[Any]


def raw_rate(url: str, entries: list[AuditEntry], batch: int) -> float:
    """Entries a second, in batches of this size, into a trail that nobody has used."""
    rows = [[*leaf.row, leaf.salts] for leaf in make_leaves(Batch("00" * 16, 1, entries), 0, STORED_AT_US)]
    for row in rows:
        row[WRITER] = 1
    write = _sqlite_seconds if url.startswith("sqlite") else _postgres_seconds
    return len(entries) / asyncio.run(write(url, rows, batch))


async def _sqlite_seconds(url: str, rows: list[Row], batch: int) -> float:
    store = SqliteStore.from_url(url)
    await store.open()
    await store.close()
    db = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for setting in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        db.execute(f"PRAGMA {setting}")
    db.execute("INSERT INTO audit_writers VALUES (1, 'raw', 0)")
    names = ["leaf_index", *("writer_id" if name == "writer" else name for name in COLUMNS), "salts"]
    insert = f"INSERT INTO audit_entries ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    records = [(leaf_index, *row) for leaf_index, row in enumerate(rows)]
    started = time.perf_counter()
    for start in range(0, len(records), batch):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(insert, records[start : start + batch])
        db.execute("COMMIT")
    seconds = time.perf_counter() - started
    db.close()
    return seconds


async def _postgres_seconds(url: str, rows: list[Row], batch: int) -> float:
    import asyncpg

    store = store_for(url)
    await store.open()
    await store.close()
    db = await asyncpg.connect(url)
    await db.execute("INSERT INTO audit_writers (writer, last_seq) VALUES ('raw', 0)")
    times = places_of("time")
    for row in rows:
        for place in times:
            row[place] = None if row[place] is None else to_datetime(row[place])
    names = [_postgres_name(name) for name in COLUMNS] + ["salts"]
    started = time.perf_counter()
    for start in range(0, len(rows), batch):
        await db.copy_records_to_table("audit_entries", records=rows[start : start + batch], columns=names)
    seconds = time.perf_counter() - started
    await db.close()
    return seconds


def _postgres_name(name: str) -> str:
    if name == "writer":
        return "writer_id"
    return name.removesuffix("_us") if COLUMNS[name] == "time" else name
