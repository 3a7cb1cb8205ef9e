"""Migrations: numbered, complete, and the same schema however one gets there."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from auditmw.errors import SchemaMismatch
from auditmw.stores import store_for
from auditmw.stores.migrate import migrations, pending, roles, statements

LANDED = {
    "sqlite/0001_trail.sql": "d2f8b5ffe3bbedbb",
    "sqlite/0002_views.sql": "fbd12722dbc08f14",
    "sqlite/0003_leases.sql": "c38e191b6c660ce2",
    "sqlite/0004_rollups.sql": "b7077d1cd81e7391",
    "sqlite/0005_content.sql": "2e6522752ed5dde9",
    "sqlite/0006_restricted.sql": "aa7e108975637909",
    "sqlite/0007_rollups.sql": "8642f9f2e03c16c0",
    "postgres/0001_trail.sql": "ddc161d36ee770b8",
    "postgres/0002_views.sql": "ea5732d284a6c24e",
    "postgres/0003_leases.sql": "e144d108d319bc82",
    "postgres/0004_rollups.sql": "e8b4b6d8c6c9acb2",
    "postgres/0005_content.sql": "d3b882f8d3fb2896",
    "postgres/0006_restricted.sql": "0add4c3029e6ef6b",
    "postgres/0007_rollups.sql": "feaa40dbdaf9ff1f",
}
"""What trails out there were made with, by the beginning of its SHA-256."""


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_migrations_are_numbered_without_a_gap(dialect):
    steps = migrations(dialect)
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert [step.name for step in steps] == [step.name for step in migrations("sqlite")]


@pytest.mark.parametrize("name", LANDED)
def test_a_script_that_trails_were_made_with_is_never_changed(name):
    dialect, _, file = name.partition("/")
    (script,) = [step.sql for step in migrations(dialect) if step.name == file]
    assert hashlib.sha256(script.encode()).hexdigest()[:16] == LANDED[name], "write a new migration instead"


async def test_rollups_of_an_older_form_are_added_up_again_from_the_entries(tmp_path):
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        for step in migrations("sqlite")[:6]:
            db.executescript(step.sql + f"INSERT INTO audit_schema VALUES ({step.version});")
        db.execute("UPDATE audit_rollup SET watermark = 7, changes = 3")
        db.execute("INSERT INTO audit_rollup_hour VALUES ('2026-11-24T01', '', '', '', '', 1, 1, 0, '[]', '[]')")
        db.commit()
    store = store_for(f"sqlite:///{path}")
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT watermark, changes FROM audit_rollup").fetchall() == [(0, 4)]
        assert db.execute("SELECT * FROM audit_rollup_hour").fetchall() == []


def test_what_is_pending_begins_after_the_databases_version():
    assert [step.version for step in pending("sqlite", 1)] == [step.version for step in migrations("sqlite")][1:]
    assert pending("sqlite", migrations("sqlite")[-1].version) == []
    with pytest.raises(SchemaMismatch, match="knows up to"):
        pending("sqlite", 99)


def test_a_script_is_cut_at_the_ends_of_its_statements():
    script = "-- a; comment\nCREATE TABLE a (\n  x TEXT DEFAULT ';'\n);\n\nSELECT 1;\n"
    assert [part.strip().splitlines()[-1] for part in statements(script)] == [");", "SELECT 1;"]


def test_there_is_a_script_of_roles():
    assert "CREATE ROLE audit_writer" in roles("postgres")


async def test_a_sqlite_file_of_an_older_version_gets_the_same_schema_as_a_fresh_one(tmp_path):
    def schema(path):
        with closing(sqlite3.connect(path)) as db:
            return sorted(db.execute("SELECT name, sql FROM sqlite_master").fetchall())

    old, fresh = tmp_path / "old.db", tmp_path / "fresh.db"
    with closing(sqlite3.connect(old)) as db:
        db.executescript(migrations("sqlite")[0].sql + "INSERT INTO audit_schema VALUES (1);")
    for path in (old, fresh):
        store = store_for(f"sqlite:///{path}")
        await store.open()
        await store.close()
    assert schema(old) == schema(fresh)


async def test_a_postgres_database_of_an_older_version_gets_the_same_schema_as_a_fresh_one(
    empty_database_url, postgres_url
):
    async def schema(url):
        db = await asyncpg.connect(url)
        columns = await db.fetch(
            "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default "
            "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3"
        )
        indexes = await db.fetch("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
        views = await db.fetch("SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1")
        triggers = await db.fetch(
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
        )
        await db.close()
        return columns, indexes, views, triggers

    db = await asyncpg.connect(empty_database_url)
    await db.execute(migrations("postgres")[0].sql)
    await db.execute("INSERT INTO audit_schema VALUES (1)")
    await db.close()
    store = store_for(empty_database_url)
    await store.open()
    await store.close()
    assert await schema(empty_database_url) == await schema(postgres_url)


def test_the_scripts_are_part_of_the_package():
    import auditmw.stores

    assert auditmw.stores.__file__ is not None
    folder = Path(auditmw.stores.__file__).parent / "sql"
    assert sorted(path.name for path in folder.rglob("*.sql")).count("0001_trail.sql") == 2
