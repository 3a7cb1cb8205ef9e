"""The privacy commands: exit codes, what they say, and what they refuse."""

import json

import pytest

from auditmw import AuditTrail
from auditmw.cli.app import run


@pytest.fixture
def auditmw(capsys):
    """Runs a command in this process; gives its exit code, its results, what it said."""

    def command(*arguments):
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def db(tmp_path, monkeypatch):
    """The trail that commands find: two calls of alice, one of bob."""
    url = f"sqlite:///{tmp_path}/audit.db"
    monkeypatch.setenv("AUDITMW_DB", url)
    with AuditTrail(url) as trail:
        for user in ("alice", "bob", "alice"):
            with trail.call(action="ask", model="m", user_id=user, session_id=f"{user}-1"):
                pass
    return url


def users(url):
    with AuditTrail(url) as trail:
        return [entry.user_id for entry in trail.sync.query()]


def test_erase_says_what_it_did_and_gives_a_receipt(auditmw, db, tmp_path):
    code, out, err = auditmw("erase", "--user", "alice", "--yes", "--receipt", str(tmp_path / "receipt.txt"))
    assert (code, out) == (0, "")
    assert "erased: removed who of 2" in err
    assert "not reached: copies and backups" in err
    assert users(db) == [None, "bob", None]
    text = (tmp_path / "receipt.txt").read_text()
    assert json.loads(text.splitlines()[1])["answer"] == "erased"
    assert auditmw("verify")[0] == 2


def test_erase_answers_an_unknown_person_with_three(auditmw, db):
    code, _, err = auditmw("erase", "--user", "nobody", "--yes")
    assert (code, err) == (3, "not found: removed nothing\n")


def test_erase_asks_and_does_nothing_where_nobody_can_answer(auditmw, db):
    code, _, err = auditmw("erase", "--user", "alice")
    assert code == 3
    assert "give --yes" in err
    assert users(db) == ["alice", "bob", "alice"]


@pytest.mark.parametrize("arguments", [(), ("--user", "a", "--subject", "b"), ("--user", "")])
def test_erase_needs_exactly_one_person(auditmw, db, arguments):
    code, _, err = auditmw("erase", *arguments, "--yes")
    assert code == 3
    assert "who is meant" in err


def test_a_trail_without_a_database_has_no_privacy_side(auditmw, tmp_path):
    code, _, err = auditmw("erase", "--user", "a", "--yes", "--db", f"jsonl:///{tmp_path}/x")
    assert code == 3
    assert "need a database" in err
    assert auditmw("erase", "--user", "a", "--yes", "--db", f"sqlite:///{tmp_path}/none.db")[0] == 3


def test_a_hold_defers_an_erasure_until_it_is_released(auditmw, db):
    code, _, err = auditmw("hold", "add", "--user", "alice", "--reason", "claim 4711")
    assert code == 0
    hold_id = err.split()[1]
    assert "keeps 2 entries" in err
    _, out, _ = auditmw("hold", "list", "--format", "json")
    assert json.loads(out) == {"id": hold_id, "reason": "claim 4711", "scope": "user alice", "entries": 2}
    assert "claim 4711" in auditmw("hold", "list")[1]
    code, _, err = auditmw("erase", "--user", "alice", "--yes")
    assert code == 2
    assert "kept: a legal hold keeps" in err
    code, _, err = auditmw("hold", "release", hold_id)
    assert code == 0
    assert ": erased" in err
    assert users(db) == [None, "bob", None]
    assert auditmw("hold", "list")[2] == "no hold is in force\n"


def test_hold_says_what_it_needs(auditmw, db):
    assert "why?" in auditmw("hold", "add", "--user", "alice")[2]
    assert "which hold?" in auditmw("hold", "release")[2]
    assert auditmw("hold", "release", "nothing")[0] == 3


def test_retain_sets_the_policy_and_says_what_it_did(auditmw, db):
    assert "no policy" in auditmw("retain")[2]
    code, _, err = auditmw("retain", "--policy", "standard")
    assert code == 0
    assert "standard@1: removed 0 entries; the log begins at leaf 0" in err
    assert auditmw("retain")[0] == 0
    code, _, err = auditmw("retain", "--dry-run")
    assert (code, err) == (0, "nothing is due\n")
    assert users(db) == ["alice", "bob", "alice"]


def test_retain_refuses_gdpr_without_what_must_be_stated_and_what_is_no_interval(auditmw, db):
    code, _, err = auditmw("retain", "--policy", "gdpr")
    assert code == 3
    assert "the policy gdpr needs a period `gone` for core" in err
    assert "no interval" in auditmw("retain", "--every", "often")[2]


def test_a_dry_run_lists_what_is_due(auditmw, db, monkeypatch):
    auditmw("retain", "--policy", "standard")
    monkeypatch.setattr("auditmw.clock.SystemClock.now_us", lambda self: 1_900_000_000_000_000)
    code, out, _ = auditmw("retain", "--dry-run", "--format", "json")
    assert code == 0
    assert {line["class"] for line in map(json.loads, out.splitlines())} == {"who", "rows"}
    code, _, err = auditmw("retain")
    assert code == 3
    assert "Is the clock right?" in err


def test_access_writes_a_copy_and_puts_that_on_record(auditmw, db, tmp_path):
    code, _, err = auditmw("access", "--user", "alice", "--out", str(tmp_path / "copy"))
    assert code == 0
    assert "2 entries, 0 with content" in err
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"entries.jsonl", "index.html", "manifest.txt"}
    assert auditmw("access", "--user", "nobody", "--out", str(tmp_path / "none"))[0] == 3
    assert auditmw("query", "--kind", "control", "--action", "read", "--format", "json")[1].count("access request") == 1


def test_a_copy_with_content_of_a_trail_that_keeps_none_says_so(auditmw, db, tmp_path):
    code, _, err = auditmw("access", "--user", "alice", "--out", str(tmp_path / "copy"), "--content")
    assert code == 0
    assert 'this trail keeps no content (content="none")' in err


def test_show_content_needs_a_purpose_and_is_on_record(auditmw, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/kept.db"
    monkeypatch.setenv("AUDITMW_DB", url)
    with AuditTrail(url, content="encrypted") as trail:
        with trail.call(action="ask", user_id="alice") as call:
            call.request = {"messages": ["what is the weather"]}
        with trail.call(action="ask", user_id="alice") as other:
            pass
    code, _, err = auditmw("show", call.request_id, "--content")
    assert code == 3
    assert "what for?" in err
    code, out, _ = auditmw("show", call.request_id, "--content", "--purpose", "complaint 4711")
    assert code == 0
    assert json.loads(out)["request"] == {"messages": ["what is the weather"]}
    code, _, err = auditmw("show", other.request_id, "--content", "--purpose", "complaint 4711")
    assert (code, "is kept" in err) == (3, True)
    _, out, _ = auditmw("query", "--kind", "control", "--action", "read", "--format", "json")
    reads = [json.loads(line) for line in out.splitlines()]
    assert [read["metadata"]["count"] for read in reads] == [0, 1]
    assert {read["subject"] for read in reads} == {"alice"}


def test_keys_rewrap_changes_the_content_key_and_puts_that_on_record(auditmw, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITMW_DB", f"sqlite:///{tmp_path}/kept.db")
    trail = AuditTrail(f"sqlite:///{tmp_path}/kept.db", content="encrypted")
    with trail, trail.call(action="ask", user_id="alice") as call:
        call.request = {"messages": ["hello"]}
    old, new = tmp_path / "kept.db.auditmw" / "content.key", tmp_path / "new.key"
    new.write_text("ab" * 32)
    new.chmod(0o600)
    assert auditmw("keys", "rewrap", "--old", str(old))[0] == 3
    code, _, err = auditmw("keys", "rewrap", "--old", str(old), "--new", str(new))
    assert code == 0
    assert "1 keys are under" in err
    read = ("show", call.request_id, "--content", "--purpose", "test")
    assert auditmw(*read)[0] == 1
    monkeypatch.setenv("AUDITMW_CONTENT_KEY_FILE", str(new))
    assert auditmw(*read)[0] == 0
    _, out, _ = auditmw("query", "--kind", "control", "--action", "change", "--format", "json")
    assert [json.loads(line)["metadata"]["what"] for line in out.splitlines()] == ["content_key"]


def test_erase_names_what_was_handed_out_before_and_what_is_restricted(auditmw, db, tmp_path):
    auditmw("export", "--format", "csv", "--out", str(tmp_path / "out.csv"))
    auditmw("hold", "add", "--session", "alice-1", "--reason", "claim")
    code, _, err = auditmw("erase", "--user", "alice", "--yes")
    assert code == 2
    assert "restricted: 2 entries" in err
    assert "out.csv" in err.partition("handed out before: ")[2]


@pytest.fixture
def years_later(auditmw, db, monkeypatch):
    """A trail under the standard policy whose time has come."""
    auditmw("retain", "--policy", "standard")
    monkeypatch.setattr("auditmw.clock.SystemClock.now_us", lambda self: 1_900_000_000_000_000)


def test_retain_goes_on_when_somebody_says_that_the_clock_is_right(auditmw, db, years_later, monkeypatch):
    assert auditmw("retain")[0] == 3
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question, **_: "clock right" in question)
    code, _, err = auditmw("retain")
    assert code == 0
    assert "removed" in err
    assert auditmw("retain", "--dry-run")[2] == "nothing is due\n"


def test_a_dry_run_shows_a_table(auditmw, db, years_later):
    code, out, _ = auditmw("retain", "--dry-run")
    assert code == 0
    assert "stored in" in out


def test_retain_says_when_its_time_was_not_enough(auditmw, db, years_later):
    code, _, err = auditmw("retain", "--yes", "--seconds", "0")
    assert code == 0
    assert "not all that is due is gone yet" in err


def test_retain_sweeps_again_and_again_until_it_is_interrupted(auditmw, db, monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("auditmw.cli.retain.time.sleep", sleep)
    code, _, err = auditmw("retain", "--policy", "standard", "--every", "1h")
    assert (code, pauses, err.count("standard@1: removed 0 entries")) == (0, [3600, 3600], 2)


def test_keys_rewrap_of_a_trail_without_content_writes_nothing(auditmw, db, tmp_path):
    for name in ("old.key", "new.key"):
        (tmp_path / name).write_text("ab" * 32)
        (tmp_path / name).chmod(0o600)
    assert auditmw("keys", "rewrap", "--old", str(tmp_path / "old.key"), "--new", str(tmp_path / "new.key"))[0] == 0
    with AuditTrail(db) as trail:
        assert list(trail.sync.query(kind="control", action="change")) == []
