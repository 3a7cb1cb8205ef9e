import sqlite3

import pytest

OTHER = "sqlite:///other.db"
READING = [
    ["query"],
    ["report", "cost"],
    ["show", "x"],
    ["tail"],
    ["export", "--format", "csv"],
    ["prove", "x"],
    ["verify"],
    ["hold", "list"],
    ["hold", "add", "--user", "alice", "--reason", "case 7"],
    ["erase", "--user", "alice", "--yes"],
    ["access", "--user", "alice", "--out", "copy"],
    ["retain", "--dry-run"],
    ["retain"],
    ["rollups", "update"],
    ["rollups", "rebuild"],
]
MAKING = [["migrate"], ["keys", "init"]]


def tables():
    connection = sqlite3.connect("other.db")
    found = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    return found


@pytest.fixture
def other(tmp_path, monkeypatch):
    """The database of another application."""
    monkeypatch.chdir(tmp_path)
    connection = sqlite3.connect("other.db")
    connection.execute("CREATE TABLE customers (name)")
    connection.close()


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("arguments", [*READING, *MAKING], ids=" ".join)
def test_a_database_without_a_trail_is_3_and_stays_as_it_is(arguments, auditmw, tmp_path):
    result = auditmw(*arguments, db=OTHER)
    assert (result.code, result.out) == (3, "")
    assert "other.db holds no trail" in result.err
    assert "--db" in result.err
    assert tables() == [("customers",)]
    assert {path.name for path in tmp_path.iterdir()} <= {"other.db", "other.db-wal", "other.db-shm"}


@pytest.mark.usefixtures("other")
def test_the_doctor_finds_no_trail_in_another_database(auditmw):
    result = auditmw("doctor", db=OTHER)
    assert result.code == 1
    assert "other.db holds no trail" in result.words
    assert "older" not in result.out


@pytest.mark.parametrize("arguments", [command for command in READING if command != ["verify"]], ids=" ".join)
def test_where_there_is_no_file_none_is_made(arguments, auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = auditmw(*arguments, db="sqlite:///mistyped.db")
    assert (result.code, result.out) == (3, "")
    assert "there is no trail at" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", MAKING, ids=" ".join)
def test_an_empty_database_becomes_a_trail_when_asked_to(arguments, auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.db").touch()
    assert auditmw(*arguments, db="sqlite:///empty.db").code == 0
    assert auditmw("query", db="sqlite:///empty.db").code == 0


@pytest.mark.usefixtures("other")
def test_a_key_of_another_database_is_not_rotated(auditmw, db):
    auditmw("keys", "init", "--file", "signing.key", db=db)
    connection = sqlite3.connect("other.db")
    connection.execute("CREATE TABLE IF NOT EXISTS customers (name)")
    connection.close()
    result = auditmw("keys", "rotate", "--file", "signing.key", db=OTHER)
    assert (result.code, result.out) == (3, "")
    assert tables() == [("customers",)]
