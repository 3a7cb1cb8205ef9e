import json

import pytest

from auditmw import AuditTrail


def test_entries_are_written_to_standard_output_oldest_first(auditmw, db):
    result = auditmw("export", "--format", "jsonl", db=db)
    assert result.code == 0
    assert [json.loads(line)["user_id"] for line in result.out.splitlines()][:4] == ["alice", "alice", "bob", "bob"]
    assert "5 entries written" in result.err


def test_a_second_run_with_the_cursor_writes_nothing_twice(auditmw, db, tmp_path):
    arguments = ("export", "--format", "ocsf", "--out", "siem.jsonl", "--cursor", "siem.cursor")
    assert auditmw(*arguments, db=db).err == "5 entries written to siem.jsonl\n"
    assert auditmw(*arguments, db=db).err == "0 entries written to siem.jsonl\n"
    assert len((tmp_path / "siem.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "count"),
    [(["--since", "-1h"], 5), (["--until", "-1h"], 0), (["--tenant", "acme"], 1), (["--kind", "function"], 0)],
)
def test_every_filter_filters(arguments, count, auditmw, db):
    assert len(auditmw("export", "--format", "otlp", *arguments, db=db).out.splitlines()) == (1 if count else 0)
    assert len(auditmw("export", "--format", "jsonl", *arguments, db=db).out.splitlines()) == count


def test_who_may_be_left_out(auditmw, db):
    out = auditmw("export", "--format", "csv", "--without", "who", db=db).out
    assert "alice" not in out
    assert "claude-opus-4-7" in out


def test_control_entries_come_when_asked_for(auditmw, db):
    out = auditmw("export", "--format", "jsonl", "--kind", "control", db=db).out
    assert {json.loads(line)["kind"] for line in out.splitlines()} == {"control"}


def test_a_bar_is_drawn_where_somebody_looks(auditmw, db, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    result = auditmw("export", "--format", "jsonl", "--out", "out.jsonl", db=db)
    assert "exporting" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xml"], "use jsonl, csv, parquet, ocsf, otlp"),
        (["--format", "parquet"], "--out"),
        (["--format", "csv", "--without", "all"], "there is no class all"),
        (["--format", "csv", "--since", "soon"], "is no date"),
        ([], "--format"),
    ],
)
def test_wrong_usage_is_one_message_and_3(arguments, message, auditmw, db):
    result = auditmw("export", *arguments, db=db)
    assert (result.code, result.out) == (3, "")
    assert message in result.err


def test_an_export_is_on_record_and_a_receipt_of_an_erasure_names_it(auditmw, db, tmp_path):
    assert (
        auditmw("export", "--format", "csv", "--out", "a.csv", "--purpose", "audit 2026", "--actor", "ann", db=db).code
        == 0
    )
    out = auditmw("export", "--format", "jsonl", "--kind", "control", "--no-record", db=db).out
    (read,) = [entry for entry in map(json.loads, out.splitlines()) if entry["action"] == "read"]
    assert (read["user_id"], read["metadata"]["count"]) == ("ann", 5)
    assert read["metadata"]["purpose"] == "audit 2026"
    erased = auditmw("erase", "--user", "alice", "--yes", db=db)
    assert f"to: {tmp_path}/a.csv" in erased.err
    assert erased.err.count("handed out before") == 1


@pytest.mark.parametrize("nowhere", [["--out", "nowhere/a.csv"], ["--out", "a.csv", "--cursor", "nowhere/cursor"]])
def test_a_copy_that_could_not_be_written_is_named_in_no_receipt(nowhere, auditmw, db):
    assert auditmw("export", "--format", "csv", *nowhere, db=db).code == 3
    assert "handed out before" not in auditmw("erase", "--user", "alice", "--yes", db=db).err


def test_a_trail_of_lines_is_exported_without_a_record(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with AuditTrail("jsonl:///lines") as trail, trail.call(user_id="zoe"):
        pass
    assert "zoe" in auditmw("export", "--format", "jsonl", db="jsonl:///lines").out
