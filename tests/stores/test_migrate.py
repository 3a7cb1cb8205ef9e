"""Migrations: numbered, complete, and the same schema however one gets there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from auditmw.errors import SchemaMismatch
from auditmw.stores import store_for
from auditmw.stores.migrate import migrations, pending, roles, statements


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_migrations_are_numbered_without_a_gap(dialect):
    steps = migrations(dialect)
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert [step.name for step in steps] == [step.name for step in migrations("sqlite")]


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
