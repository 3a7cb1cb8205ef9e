import json
import sqlite3
from contextlib import closing


def test_rollups_are_made_anew_and_reports_say_the_same(auditmw, db):
    before = auditmw("report", "cost", "--format", "json", db=db).out
    result = auditmw("rollups", "rebuild", db=db)
    assert (result.code, result.out) == (0, "")
    assert "entries were rolled up" in result.err
    assert auditmw("report", "cost", "--format", "json", db=db).out == before
    assert "0 entries" in auditmw("rollups", "update", db=db).err


def test_where_there_are_no_rollups_it_says_so(auditmw, tmp_path):
    result = auditmw("rollups", "update", db=f"jsonl:///{tmp_path}")
    assert result.code == 3
    assert "only SQLite and PostgreSQL" in result.err


def test_the_new_reports_answer_from_a_trail(auditmw, db):
    for name in ("latency", "cache", "attempts", "coverage"):
        rows = [json.loads(line) for line in auditmw("report", name, "--format", "json", db=db).out.splitlines()]
        assert rows, name


def test_rollups_are_not_rebuilt_unasked_where_entries_have_gone(auditmw, db):
    with closing(sqlite3.connect(db.removeprefix("sqlite:///"), isolation_level=None)) as trail:
        trail.execute("DELETE FROM audit_entries WHERE leaf_index < 2")
    before = auditmw("report", "cost", "--format", "json", db=db).out
    refused = auditmw("rollups", "rebuild", db=db)
    assert refused.code == 3
    assert "the first 2 entries" in refused.err
    assert "--yes" in refused.err
    assert auditmw("report", "cost", "--format", "json", db=db).out == before
    assert auditmw("rollups", "rebuild", "--yes", db=db).code == 0
