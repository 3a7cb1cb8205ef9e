import csv
import io
import json

import pytest

from auditmw import AuditEntry, AuditTrail
from auditmw.entry import JSON_NAMES


def test_the_newest_entries_come_first_in_a_table(auditmw, db):
    result = auditmw("query", db=db)
    assert result.code == 0
    lines = [line for line in result.out.splitlines() if "alice" in line or "bob" in line]
    assert [("opus" in line, "haiku" in line) for line in lines[2:]] == [(True, False), (False, True)]
    assert "success" in lines[0]
    assert "error" in lines[1]


def test_a_table_obeys_nothing_that_stands_in_a_field(auditmw, db):
    result = auditmw("query", db=db)
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    assert "eve\\x1b[31m\\x07\\u202e" in result.out


def test_json_is_an_entry_a_line_under_the_public_names(auditmw, db):
    result = auditmw("query", "--format", "json", "--oldest-first", db=db)
    entries = [json.loads(line) for line in result.out.splitlines()]
    assert [entry["user_id"] for entry in entries][:4] == ["alice", "alice", "bob", "bob"]
    assert tuple(entries[0]) == JSON_NAMES
    assert entries[0]["cost_usd"] == "0.000037"
    assert AuditEntry.from_json(result.out.splitlines()[4]).user_id.startswith("eve\x1b[31m\x07\u202e")
    assert "\u202e" not in result.out


def test_csv_holds_no_formula(auditmw, db):
    result = auditmw("query", "--format", "csv", "--oldest-first", db=db)
    header, *rows = csv.reader(io.StringIO(result.out))
    assert tuple(header) == JSON_NAMES
    last = dict(zip(header, rows[-1], strict=True))
    assert last["model"] == "'=1+1"
    assert json.loads(last["metadata"]) == {"team": "@SUM(A1)"}
    assert len(rows) == 5


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--user", "alice"], 2),
        (["--user", "nobody"], 0),
        (["--model", "claude-opus-4-7"], 1),
        (["--status", "error"], 1),
        (["--tenant", "acme"], 1),
        (["--action", "ask"], 4),
        (["--call", "retried"], 2),
        (["--kind", "function"], 0),
        (["--session", "s"], 0),
        (["--subject", "s"], 0),
        (["--since", "-1h"], 5),
        (["--until", "-1h"], 0),
        (["--since", "2026-01-01", "--until", "2026-01-02T10:00"], 0),
        (["--limit", "3"], 3),
        (["--limit", "0"], 0),
    ],
)
def test_every_filter_filters(arguments, count, auditmw, db):
    result = auditmw("query", "--format", "json", *arguments, db=db)
    assert result.code == 0
    assert len(result.out.splitlines()) == count


def test_control_entries_come_when_asked_for(auditmw, db):
    kinds = {json.loads(line)["kind"] for line in auditmw("query", "--format", "json", db=db).out.splitlines()}
    assert kinds == {"llm"}
    control = auditmw("query", "--format", "json", "--kind", "control", db=db).out.splitlines()
    assert all(json.loads(line)["kind"] == "control" for line in control)


def test_a_table_says_when_it_does_not_show_all(auditmw, db):
    result = auditmw("query", "--limit", "2", db=db)
    assert "Only 2 are shown" in result.err
    assert "Only" not in auditmw("query", db=db).err


def test_that_nothing_fits_is_said_on_stderr_and_is_no_failure(auditmw, db):
    result = auditmw("query", "--user", "nobody", db=db)
    assert (result.code, result.out) == (0, "")
    assert "No entry fits" in result.err


@pytest.mark.parametrize("width", [60, 80, 110, 130, 200])
def test_a_table_fits_the_terminal(width, auditmw, db, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    out = auditmw("query", db=db).out
    assert max(map(len, out.splitlines())) <= width
    assert "success" in out


def test_the_trail_may_be_named_by_the_environment(auditmw, db, monkeypatch):
    monkeypatch.setenv("AUDITMW_DB", db)
    assert "alice" in auditmw("query").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "is no date"),
        (["--since", "-1h", "--until", "-2h"], "exchange them"),
        (["--status", "good"], "use one of success"),
        (["--kind", "big"], "use one of llm"),
        (["--limit", "-1"], "--limit"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_wrong_usage_is_one_message_and_3(arguments, message, auditmw, db):
    result = auditmw("query", *arguments, db=db)
    assert (result.code, result.out) == (3, "")
    assert message in result.err


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///missing.db", "there is no trail at"),
        ("jsonl:///missing", "there is no trail at"),
        ("memory://", "ends with its process"),
        ("mysql://x/y", "is no store"),
        ("sqlite:///notes.txt", "SQLite database"),
        (None, "--db URL"),
    ],
)
def test_a_trail_that_there_is_not_is_3_and_is_not_made(url, message, auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no database " * 100)
    result = auditmw("query", db=url)
    assert (result.code, result.out) == (3, "")
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_trail_of_json_lines_is_read_too(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with AuditTrail("jsonl:///lines") as trail, trail.call(user_id="zoe"):
        pass
    assert "zoe" in auditmw("query", db="jsonl:///lines").out
