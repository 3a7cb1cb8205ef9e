import sqlite3
from pathlib import Path


def test_migrate_makes_the_schema_of_a_new_trail(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert auditmw("migrate", db="sqlite:///new.db").code == 0
    assert Path("new.db").exists()
    assert auditmw("migrate", db="sqlite:///new.db").code == 0
    assert auditmw("query", db="sqlite:///new.db").code == 0


def test_migrate_refuses_a_database_of_a_newer_schema(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    auditmw("migrate", db="sqlite:///new.db")
    with sqlite3.connect("new.db") as database:
        database.execute("INSERT INTO audit_schema VALUES (999)")
    database.close()
    result = auditmw("migrate", db="sqlite:///new.db")
    assert result.code == 1
    assert "upgrade" in result.err


def test_migrate_without_a_trail_says_how_to_name_one(auditmw):
    result = auditmw("migrate")
    assert result.code == 3
    assert "--db" in result.err
