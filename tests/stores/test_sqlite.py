"""What only the SQLite store does."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from auditmw.errors import ConfigurationError, NoTrail, SchemaMismatch, StoreError, StoreUnavailable
from auditmw.log.leaf import leaf_hash
from auditmw.log.merkle import Frontier, split_hashes
from auditmw.log.tiles import Tile
from auditmw.stores import sqlite, sqlite_connection, sqlite_heads
from auditmw.stores.columns import COLUMNS, REQUIRED
from auditmw.stores.filters import conditions
from auditmw.stores.protocol import Filter
from auditmw.stores.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "audit.db")


@pytest.fixture
async def store(path, clock):
    store = SqliteStore(path, clock)
    await store.open()
    yield store
    await store.close()


def ask(path, sql, *values):
    with closing(sqlite3.connect(path)) as db, db:
        return db.execute(sql, values).fetchall()


async def test_every_commit_is_flushed_and_readers_do_not_wait(store, path):
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    cursor = await store._writer.execute("PRAGMA synchronous")
    assert await cursor.fetchone() == (2,)


async def test_the_entries_table_has_a_column_for_every_field_and_the_leaf_index_is_the_rowid(store, path, make_batch):
    await store.append(make_batch(count=2))
    columns = {name: bool(required) for _, name, _, required, _, _ in ask(path, "PRAGMA table_info(audit_entries)")}
    stored = {"writer_id" if name == "writer" else name for name in COLUMNS}
    assert set(columns) == {*stored, "leaf_index", "salts", "erased", "restricted"}
    assert {name for name in REQUIRED if not columns[name]} == set()
    assert ask(path, "SELECT rowid, leaf_index FROM audit_entries") == [(0, 0), (1, 1)]


async def test_entries_are_stored_at_the_whole_second_of_the_clock(store, read, make_batch, clock):
    await store.append(make_batch(count=1))
    assert [entry.stored_at_us for entry in await read(store)] == [clock.now_us() // 1_000_000 * 1_000_000]


async def test_the_tree_grows_with_the_entries(store, path, make_batch):
    """Batches that begin, end, cross and cover tiles: what is stored of the tree is what the stored rows give."""
    first_seq = 1
    for count in [1, 200, 54, 1, 256, 1, 511, 700, 3]:
        await store.append(make_batch(first_seq=first_seq, count=count))
        first_seq += count
    fields = ", ".join(name if name != "writer" else "writer" for name in COLUMNS)
    rows = ask(
        path, f"SELECT salts, {fields} FROM audit_entries JOIN audit_writers ON id = writer_id ORDER BY leaf_index"
    )
    hashes = [leaf_hash(sqlite._read(row), salts) for salts, *row in rows]
    assert len(hashes) == 1727
    ((size, frontier),) = ask(path, "SELECT size, frontier FROM audit_trail")
    assert (size, frontier) == (1727, Frontier().extend(hashes).to_bytes())
    batches = ask(path, "SELECT leaf_hashes, first_leaf, entry_count FROM audit_batches ORDER BY first_leaf")
    assert [digest for data, _, _ in batches for digest in split_hashes(data)] == hashes
    tiles = ask(path, "SELECT tile, root FROM audit_tiles ORDER BY tile")
    assert tiles == [(n, Tile(n, b"".join(hashes[n * 256 : n * 256 + 256])).root()) for n in range(6)]


async def test_a_checkpoint_is_kept_once(store, path):
    for _ in range(2):
        await store.heads.add(3, "three")
        await store.heads.add(3, "three by another key")
    assert ask(path, "SELECT size, note FROM audit_checkpoints") == [(3, "three"), (3, "three by another key")]


async def test_two_processes_that_open_a_new_file_at_once_both_work(path, clock, make_batch, read):
    stores = [SqliteStore(path, clock) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.append(make_batch(f"w{n}")) for n, store in enumerate(stores)))
    assert [entry.leaf_index for entry in await read(stores[0])] == list(range(12))
    for store in stores:
        await store.close()


async def test_a_file_in_a_missing_directory_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigurationError, match="its directory must exist"):
        await SqliteStore(str(tmp_path / "missing" / "audit.db")).open()


async def test_a_file_that_is_no_database_is_one_clear_error(path, tmp_path):
    (tmp_path / "audit.db").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(ConfigurationError, match="is no SQLite database"):
        await SqliteStore(path).open()


async def test_a_file_whose_tables_bear_the_trails_names_is_left_as_it_is(path):
    ask(path, "CREATE TABLE audit_batches (x)")
    with pytest.raises(StoreError, match="table audit_batches already exists"):
        await SqliteStore(path).open()
    assert ask(path, "SELECT name FROM sqlite_master") == [("audit_batches",)]


async def test_a_file_that_is_locked_when_it_is_opened_is_unavailable(path, monkeypatch):
    monkeypatch.setattr(sqlite_connection, "BUSY_TIMEOUT_MS", 20)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await SqliteStore(path).open()
    store = SqliteStore(path)
    await store.open()
    await store.close()


async def test_an_old_sqlite_is_one_clear_error(path, monkeypatch):
    monkeypatch.setattr(sqlite_connection, "OLDEST_SQLITE", (99,))
    with pytest.raises(ConfigurationError, match="is too old"):
        await SqliteStore(path).open()


async def test_a_database_of_a_newer_schema_is_refused(store, path):
    ask(path, "INSERT INTO audit_schema VALUES (99)")
    with pytest.raises(SchemaMismatch, match=r"version 99 .* upgrade auditmw"):
        await SqliteStore(path).open()


async def test_a_reader_creates_nothing_and_migrates_nothing(path, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await SqliteStore(path).open(read_only=True)
    assert list(tmp_path.iterdir()) == []
    ask(path, "CREATE TABLE other (x)")
    with pytest.raises(NoTrail, match="holds no trail: check --db"):
        await SqliteStore(path).open(read_only=True)
    assert ask(path, "SELECT name FROM sqlite_master") == [("other",)]


async def test_a_reader_reads_beside_the_writer_and_may_not_write(store, path, make_batch, read):
    await store.append(make_batch())
    reader = SqliteStore(path)
    await reader.open(read_only=True)
    assert len(await read(reader)) == 3
    with pytest.raises(StoreError, match="not open for writing"):
        await reader.append(make_batch(first_seq=4))
    await reader.close()


async def test_a_store_that_is_not_open_says_so(path, make_batch, read):
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="open"):
        await store.append(make_batch())
    with pytest.raises(StoreError, match="open"):
        await read(store)


async def test_a_locked_database_is_unavailable_and_the_batch_lands_afterwards(
    path, clock, make_batch, read, monkeypatch
):
    monkeypatch.setattr(sqlite_connection, "BUSY_TIMEOUT_MS", 20)
    store = SqliteStore(path, clock)
    await store.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.append(make_batch())
    assert await store.append(make_batch()) == 3
    await store.close()


async def test_a_batch_that_is_cancelled_lands_whole_or_not_at_all(store, read, make_batch):
    for delay in range(20):
        task = asyncio.ensure_future(store.append(make_batch(count=50)))
        for _ in range(delay):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert len(await read(store)) in {0, 50}
    await store.append(make_batch(count=50))
    assert [entry.seq for entry in await read(store)] == list(range(1, 51))


async def test_a_json_column_that_was_changed_is_named(store, path, read, make_batch):
    await store.append(make_batch())
    ask(path, "UPDATE audit_entries SET metadata = '{' WHERE leaf_index = 1")
    with pytest.raises(StoreError, match="metadata of entry 1 is not JSON"):
        await read(store)


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT * FROM audit_entries WHERE request_id = 'r'", "audit_entries_request_id"),
        (sqlite._BOUNDS.replace("?", "5"), "COVERING INDEX audit_entries_timestamp"),
        ("SELECT * FROM llm_audit_log WHERE request_id = 'r'", "later USING INDEX audit_entries_later_attempt"),
        ("SELECT sum(cost_usd) FROM llm_audit_log", "first USING INDEX audit_entries_request_id"),
        (sqlite_heads.LEAF_HASHES.replace("?", "5"), "audit_batches USING INTEGER PRIMARY KEY"),
    ],
)
async def test_each_index_serves_a_question(store, path, sql, index):
    plan = "\n".join(row[3] for row in ask(path, f"EXPLAIN QUERY PLAN {sql}"))
    assert index in plan


async def test_pages_are_read_in_leaf_order_without_sorting(store, path):
    from auditmw.stores.filters import conditions
    from auditmw.stores.protocol import Filter

    for wanted in [Filter(since_us=5), Filter(user_id="u", since_us=1, until_us=9), Filter(request_id="r")]:
        clauses, values = sqlite._where(conditions(wanted))
        sql = f"{sqlite._SELECT} WHERE e.leaf_index BETWEEN 0 AND 9{clauses} ORDER BY e.leaf_index LIMIT 500"
        plan = "\n".join(row[3] for row in ask(path, f"EXPLAIN QUERY PLAN {sql}", *values))
        assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("few", [0, sqlite.FEW_LEAVES])
async def test_of_many_leaves_those_are_read_between_which_the_time_lies(store, read, make_batch, monkeypatch, few):
    monkeypatch.setattr(sqlite, "FEW_LEAVES", few)
    batch = make_batch(count=9)
    await store.append(batch)
    starts = [entry.timestamp_us for entry in batch.entries]
    found = [
        await read(store, since_us=starts[2], until_us=starts[7]),
        await read(store, since_us=starts[2], after=4),
        await read(store, until_us=starts[7], before=3, newest_first=True),
        await read(store, since_us=starts[8] + 1),
    ]
    assert [[entry.seq for entry in entries] for entries in found] == [[3, 4, 5, 6, 7], [6, 7, 8, 9], [3, 2, 1], []]
    wanted = Filter(since_us=starts[2], until_us=starts[7])
    assert await store._bounds(wanted) == ((0, 8) if few else (2, 6))


async def test_a_new_file_and_the_log_beside_it_are_for_their_user_alone(tmp_path, make_batch):
    before = os.umask(0)
    try:
        store = SqliteStore(str(tmp_path / "new.db"))
        await store.open()
        await store.append(make_batch())
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("new.db*")}
        await store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0o600)


async def test_a_file_that_is_there_keeps_the_mode_that_somebody_gave_it(tmp_path):
    path = tmp_path / "shared.db"
    path.touch(0o640)
    path.chmod(0o640)
    store = SqliteStore(str(path))
    await store.open()
    await store.close()
    assert path.stat().st_mode & 0o777 == 0o640


def has_log_after_another_process_read(path):
    """Whether a process that came and went thought itself the last one: it would have removed the log."""
    read = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM audit_trail').fetchall()"
    subprocess.run([sys.executable, "-c", read, path], check=True)
    return Path(f"{path}-wal").exists()


async def test_to_open_a_trail_again_releases_no_lock_of_those_who_have_it_open(store, path, make_batch):
    await store.append(make_batch())
    again = SqliteStore(path)
    await again.open()
    await again.close()
    assert has_log_after_another_process_read(path)
    await store.append(make_batch("w2"))


async def test_the_attempts_of_a_call_are_found_by_both_indexes(store, path):
    clauses, values = sqlite._where(conditions(Filter(call_id="c1")))
    with closing(sqlite3.connect(path)) as db:
        sql = f"EXPLAIN QUERY PLAN {sqlite._SELECT} WHERE e.leaf_index BETWEEN 0 AND 9{clauses} ORDER BY e.leaf_index"
        plan = "\n".join(row[3] for row in db.execute(sql, values))
    assert "audit_entries_later_attempt" in plan
    assert "audit_entries_request_id" in plan
