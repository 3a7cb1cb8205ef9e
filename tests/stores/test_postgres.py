"""What only the PostgreSQL store does, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from auditmw.entry import to_datetime
from auditmw.errors import ConfigurationError, NoTrail, PoisonEntry, SchemaMismatch, StoreError, StoreUnavailable
from auditmw.log.leaf import leaf_hash
from auditmw.log.merkle import Frontier
from auditmw.log.tiles import Tile
from auditmw.stores import postgres_append, store_for
from auditmw.stores.columns import COLUMNS, REQUIRED
from auditmw.stores.migrate import roles
from auditmw.stores.partitions import Month, months_needed
from auditmw.stores.postgres_connection import PostgresUrl
from auditmw.stores.postgres_rows import ENTRIES, NAMES, VALUES
from auditmw.stores.protocol import Batch


@pytest.fixture
async def store(postgres_url):
    store = store_for(postgres_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def db(postgres_url):
    db = await asyncpg.connect(postgres_url)
    yield db
    await db.close()


def with_user(url, user):
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{quote(user)}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
async def login(db):
    """Makes a login with one of the trail's roles, for this test."""
    await db.execute(roles("postgres"))
    made = []

    async def make(role):
        user = f"{role}_login"
        await db.execute(f"DROP ROLE IF EXISTS {user}")
        await db.execute(f"CREATE ROLE {user} LOGIN IN ROLE {role}")
        made.append(user)
        return user

    yield make
    for user in made:
        await db.execute(f"DROP ROLE {user}")
    await db.execute("DROP OWNED BY audit_writer, audit_reader; DROP ROLE audit_writer, audit_reader")


async def test_the_entries_table_has_a_column_for_every_field(db):
    sql = "SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attnum > 0"
    columns = dict(await db.fetch(sql))
    assert set(columns) == {*NAMES.values(), "writer_id", "salts", "erased", "restricted"} - {"writer"}
    assert {name for name in REQUIRED if not columns[NAMES[name]]} == set()
    assert len(NAMES) == len(COLUMNS)


async def test_ten_processes_that_start_at_once_make_one_schema(empty_database_url, make_batch, read):
    stores = [store_for(empty_database_url) for _ in range(10)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.append(make_batch(f"w{n}")) for n, store in enumerate(stores)))
    assert [entry.leaf_index for entry in await read(stores[0])] == list(range(30))
    for store in stores:
        await store.close()


async def test_eight_writers_of_one_trail_store_everything_once_and_in_one_order(postgres_url, make_batch, read):
    async def write(name):
        store = store_for(postgres_url)
        await store.open()
        for first_seq in range(1, 300, 30):
            await store.append(make_batch(name, first_seq, 30))
            await store.append(make_batch(name, max(1, first_seq - 7), 30))
        await store.close()
        return store

    stores = await asyncio.gather(*(write(f"w{n}") for n in range(8)))
    await stores[0].open()
    found = await read(stores[0])
    assert [entry.leaf_index for entry in found] == list(range(2400))
    assert [entry.stored_at_us for entry in found] == sorted(entry.stored_at_us for entry in found)
    for n in range(8):
        assert [entry.seq for entry in found if entry.writer == f"w{n}"] == list(range(1, 301))
    await stores[0].close()


WRITE = """
import asyncio, sys
from auditmw.entry import AuditEntry
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch

async def write(url, name):
    store = store_for(url)
    await store.open()
    for first in range(1, 121, 40):
        await store.append(Batch(name, first, [AuditEntry(f"{name}-{n}", n) for n in range(first, first + 40)]))
    await store.close()

async def main(url, process):
    await asyncio.gather(*(write(url, f"{process}.{n}") for n in range(4)))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_eight_processes_of_four_writers_each_complete_every_sequence(postgres_url, read):
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WRITE, postgres_url, str(n)) for n in range(8)
    ]
    assert [await process.wait() for process in processes] == [0] * 8
    store = store_for(postgres_url)
    await store.open()
    found = await read(store)
    assert [entry.leaf_index for entry in found] == list(range(8 * 4 * 120))
    for name in {entry.writer for entry in found}:
        assert [entry.seq for entry in found if entry.writer == name] == list(range(1, 121))
    await store.close()


async def test_one_writers_batch_sent_twice_at_once_lands_once(postgres_url, make_batch, read):
    stores = [store_for(postgres_url) for _ in range(4)]
    for store in stores:
        await store.open()
    counts = await asyncio.gather(*(store.append(make_batch(count=50)) for store in stores))
    assert sorted(counts) == [0, 0, 0, 50]
    assert [entry.seq for entry in await read(stores[0])] == list(range(1, 51))
    for store in stores:
        await store.close()


async def test_a_batch_that_is_overtaken_by_a_later_second_is_copied_again(store, db, make_batch, read, monkeypatch):
    """Another writer moves the trail to a later second after the entries were copied and before they get leaves."""
    await store.append(make_batch(count=1))
    copied, seconds = postgres_append.copy_entries, iter([5])
    later = None

    async def copy_and_be_overtaken(connection, records, columns):
        nonlocal later
        await copied(connection, records, columns)
        for step in seconds:
            later = await db.fetchval(
                f"UPDATE audit_trail SET stored_at = stored_at + interval '{step} s' RETURNING stored_at"
            )

    monkeypatch.setattr(postgres_append, "copy_entries", copy_and_be_overtaken)
    assert await store.append(make_batch(first_seq=2, count=2)) == 2
    found = await read(store)
    assert [entry.stored_at for entry in found[1:]] == [later, later]
    assert [entry.leaf_index for entry in found] == [0, 1, 2]


async def test_a_lost_connection_is_made_again(store, db, make_batch, read):
    await store.append(make_batch(count=1))
    await db.execute("SELECT pg_terminate_backend($1, 5000)", store._writer.get_server_pid())
    with contextlib.suppress(StoreUnavailable):  # it is, unless the loss was noticed before
        await store.append(make_batch(first_seq=2))
    await store.append(make_batch(first_seq=2))
    assert [entry.seq for entry in await read(store)] == [1, 2, 3, 4]


async def test_a_connection_lost_between_copy_and_commit_leaves_nothing(store, db, make_batch, read, monkeypatch):
    copied = postgres_append.copy_entries

    async def copy_and_lose_the_connection(connection, records, columns):
        await copied(connection, records, columns)
        await db.fetchval("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())

    monkeypatch.setattr(postgres_append, "copy_entries", copy_and_lose_the_connection)
    with pytest.raises(StoreUnavailable):
        await store.append(make_batch())
    assert await read(store) == []
    monkeypatch.undo()
    assert await store.append(make_batch()) == 3


async def test_a_batch_that_is_cancelled_lands_whole_or_not_at_all(store, make_batch, read):
    for delay in range(12):
        await store.set_setting("a", delay)  # connects: asyncpg itself complains when it is cancelled while connecting
        task = asyncio.ensure_future(store.append(make_batch(count=50)))
        await asyncio.sleep(delay / 2000)
        task.cancel()
        await asyncio.wait([task])
        assert len(await read(store)) in {0, 50}
    await store.append(make_batch(count=50))
    assert [entry.seq for entry in await read(store)] == list(range(1, 51))


async def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(StoreUnavailable, match="cannot be reached for now"):
        await store_for(f"postgresql://u:secret@/db?host={tmp_path}").open()


async def test_a_database_that_does_not_exist_is_one_clear_error_without_the_password(postgres_server):
    parts = urlsplit(with_user(postgres_server, "postgres:secret"))
    url = urlunsplit(parts._replace(path="/missing"))
    with pytest.raises(ConfigurationError, match="check user, password and database") as refused:
        await store_for(url.replace("%3A", ":")).open()
    assert "secret" not in str(refused.value)


async def test_a_database_of_a_newer_schema_is_refused(postgres_url, db):
    await db.execute("INSERT INTO audit_schema VALUES (99)")
    with pytest.raises(SchemaMismatch, match="upgrade auditmw"):
        await store_for(postgres_url).open()


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server):
    parts = urlsplit(postgres_server)
    db = await asyncpg.connect(postgres_server)
    await db.execute("CREATE DATABASE auditmw_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(ConfigurationError, match="encoded as LATIN1"):
            await store_for(urlunsplit(parts._replace(path="/auditmw_latin1"))).open()
    finally:
        await db.execute("DROP DATABASE auditmw_latin1")
        await db.close()


async def test_a_url_that_the_driver_cannot_read_is_one_clear_error():
    with pytest.raises(ConfigurationError, match="postgresql://host/db"):
        await store_for("postgresql://host/db?sslmode=sometimes").open()


async def test_a_table_that_is_gone_is_a_schema_that_does_not_fit(store, db, make_batch):
    await db.execute("DROP TABLE audit_tiles")
    with pytest.raises(SchemaMismatch, match="run `auditmw migrate`"):
        await store.append(make_batch())


async def test_a_reader_migrates_nothing(empty_database_url):
    with pytest.raises(NoTrail, match="holds no trail: check --db"):
        await store_for(empty_database_url).open(read_only=True)


async def test_a_schema_that_moves_on_is_noticed_when_the_connection_is_made_again(store, db, make_batch):
    await store.append(make_batch())
    await db.execute("INSERT INTO audit_schema VALUES (99)")
    store._writer.terminate()
    with pytest.raises(SchemaMismatch):
        await store.append(make_batch(first_seq=4))


async def test_a_store_that_is_not_open_says_so(postgres_url, make_batch, read):
    store = store_for(postgres_url)
    with pytest.raises(StoreError, match="not open for writing"):
        await store.append(make_batch())
    with pytest.raises(StoreError, match="not open"):
        await read(store)
    await store.open(read_only=True)
    assert await read(store) == []
    with pytest.raises(StoreError, match="not open for writing"):
        await store.append(make_batch())
    await store.close()


async def test_a_nul_character_is_poison_with_its_place(store, make_batch, make_entry):
    await store.append(make_batch(count=1))
    entries = [*make_batch(count=3).entries, make_entry(4, user_id="a\0b")]
    with pytest.raises(PoisonEntry, match="NUL") as refused:
        await store.append(Batch("w1", 1, entries))
    assert refused.value.index == 3


async def test_the_writer_role_appends_and_can_neither_read_nor_change_entries(
    postgres_url, login, make_batch, read, db
):
    url = with_user(postgres_url, await login("audit_writer"))
    store = store_for(url)
    await store.open()
    await store.bind_key("k")
    assert await store.append(make_batch(count=300)) == 300
    with pytest.raises(StoreUnavailable, match=r"permission denied for table audit_entries.*grant"):
        await read(store)
    writer = await asyncpg.connect(url)
    for sql in [
        "UPDATE audit_entries SET status = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_batches",
        "UPDATE audit_batches SET entry_count = 0",
        "DELETE FROM audit_writers",
        "UPDATE audit_trail SET origin = 'x'",
        "INSERT INTO audit_settings VALUES ('policy', '1')",
        "CREATE TABLE audit_entries_x PARTITION OF audit_entries DEFAULT",
    ]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await writer.execute(sql)
    for sql in ["UPDATE audit_trail SET size = 1", "UPDATE audit_writers SET last_seq = 1"]:
        with pytest.raises(asyncpg.RaiseError, match="only move forwards"):
            await writer.execute(sql)
    await writer.close()
    await store.close()


async def test_the_reader_role_reads_and_can_change_nothing(store, postgres_url, login, make_batch, read):
    await store.append(make_batch())
    url = with_user(postgres_url, await login("audit_reader"))
    reader = store_for(url)
    await reader.open(read_only=True)
    assert len(await read(reader)) == 3
    await reader.close()
    db = await asyncpg.connect(url)
    assert await db.fetchval("SELECT count(*) FROM llm_audit_log") == 3
    for table in ["audit_entries", "audit_trail", "audit_writers", "audit_batches", "audit_settings"]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute(f"DELETE FROM {table}")
    await db.close()


async def test_revoked_rights_are_unavailable_until_they_are_granted_again(postgres_url, login, db, make_batch):
    store = store_for(with_user(postgres_url, await login("audit_writer")))
    await store.open()
    await store.append(make_batch())
    await db.execute("REVOKE INSERT ON audit_entries FROM audit_writer")
    with pytest.raises(StoreUnavailable, match="grant audit_writer"):
        await store.append(make_batch(first_seq=4))
    await db.execute("GRANT INSERT ON audit_entries TO audit_writer")
    assert await store.append(make_batch(first_seq=4)) == 3
    await store.close()


async def test_partitions_are_made_three_months_ahead_and_again_when_the_process_outlives_them(store, db, make_batch):
    sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_entries'::regclass ORDER BY 1"
    needed = [month.table for month in months_needed(datetime.now(UTC))]
    assert [name for (name,) in await db.fetch(sql)] == needed
    await db.execute(f"DROP TABLE {needed[0]}, {needed[2]}")
    assert await store.append(make_batch()) == 3
    assert [name for (name,) in await db.fetch(sql)] == needed


async def test_a_writer_without_a_partition_is_told_who_has_to_make_it(postgres_url, login, db, make_batch):
    store = store_for(with_user(postgres_url, await login("audit_writer")))
    await store.open()
    await db.execute(f"DROP TABLE {months_needed(datetime.now(UTC))[0].table}")
    with pytest.raises(StoreUnavailable, match="run `auditmw migrate` as the owner"):
        await store.append(make_batch())
    await store.close()


def test_months_follow_each_other_over_the_end_of_a_year():
    assert months_needed(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)) == [(2026, 11), (2026, 12), (2027, 1), (2027, 2)]
    assert Month(2026, 12).sql.endswith("FROM ('2026-12-01 00:00+00') TO ('2027-01-01 00:00+00')")


async def test_without_prepared_statements_everything_works(postgres_url, make_batch, read):
    separator = "&" if urlsplit(postgres_url).query else "?"
    store = store_for(f"{postgres_url}{separator}statement_cache_size=0")
    await store.open()
    assert await store.append(make_batch(count=300)) == 300
    assert await store.append(make_batch(count=301)) == 1
    assert len(await read(store, user_id="user-1")) == 101
    await store.set_setting("a", 1)
    assert await store.settings() == {"a": 1}
    await store.close()


def test_a_url_is_split_into_what_the_driver_takes_and_what_may_be_shown():
    url = PostgresUrl.parse("postgresql://u:secret@h:5/db?host=/run/pg&statement_cache_size=0&application_name=x")
    assert url.dsn == "postgresql://u:secret@h:5/db?host=%2Frun%2Fpg&application_name=x"
    assert (url.shown, url.statement_cache_size) == ("postgresql://h:5/db", 0)
    assert PostgresUrl.parse("postgresql://h/db").statement_cache_size == 100
    with pytest.raises(ConfigurationError, match="use 0 behind pgbouncer"):
        PostgresUrl.parse("postgresql://h/db?statement_cache_size=none")


async def test_a_checkpoint_is_kept_once(store, db):
    for _ in range(2):
        await store.heads.add(3, "three")
        await store.heads.add(3, "three by another key")
    rows = await db.fetch("SELECT size, note FROM audit_checkpoints ORDER BY note")
    assert [tuple(row) for row in rows] == [(3, "three"), (3, "three by another key")]


async def test_the_tree_grows_with_the_entries(store, db, make_batch):
    """What is stored of the tree is what the stored rows give, over batches that begin, end, cross and cover tiles."""
    first_seq = 1
    for count in [1, 255, 1, 254, 2, 513]:
        await store.append(make_batch(first_seq=first_seq, count=count))
        first_seq += count
    rows = await db.fetch(f"SELECT e.salts, {VALUES} {ENTRIES} ORDER BY b.first_leaf, e.seq")
    hashes = [leaf_hash(values, salts) for salts, *values in rows]
    assert len(hashes) == 1026
    size, frontier = await db.fetchrow("SELECT size, frontier FROM audit_trail")
    assert (size, frontier) == (1026, Frontier().extend(hashes).to_bytes())
    batches = await db.fetch("SELECT leaf_hashes FROM audit_batches ORDER BY first_leaf")
    assert b"".join(data for (data,) in batches) == b"".join(hashes)
    tiles = [tuple(row) for row in await db.fetch("SELECT tile, root FROM audit_tiles ORDER BY tile")]
    assert tiles == [(n, Tile(n, b"".join(hashes[n * 256 : n * 256 + 256])).root()) for n in range(4)]


async def test_times_are_native_and_exact(store, db, make_entry):
    us = 1_795_176_000_123_457
    await store.append(Batch("w1", 1, [make_entry(1, timestamp_us=us)]))
    assert await db.fetchval("SELECT timestamp FROM audit_entries") == to_datetime(us)
