import json
import os
from pathlib import Path

import pytest

from auditmw import AuditTrail
from auditmw.journal import Journal, filesystem_of


def findings(result):
    return {line["what"]: line for line in map(json.loads, result.out.splitlines())}


def test_a_sound_trail_has_no_problem(auditmw, db):
    result = auditmw("doctor", "--format", "json", db=db)
    assert result.code == 0
    found = findings(result)
    assert found["store"]["state"] == "ok"
    assert found["digest key"]["state"] == "ok"
    assert "store" in auditmw("doctor", db=db).out


def test_what_a_dead_process_left_is_told_and_left_alone(auditmw, db):
    directory = Path("trail.db.auditmw")
    journal = Journal(directory)
    journal.append_intent(bytes(16), b"{}")
    journal.close()
    before = sorted((path.name, path.read_bytes()) for path in directory.iterdir())
    found = findings(auditmw("doctor", "--format", "json", db=db))
    assert "1 open calls of a dead process" in found[f"journal {journal.writer_id.hex()[:8]}"]["found"]
    assert sorted((path.name, path.read_bytes()) for path in directory.iterdir()) == before


def test_a_live_writer_is_told(auditmw, db):
    with AuditTrail(db):
        found = findings(auditmw("doctor", "--format", "json", db=db))
    assert "1 live writers" in found["journal"]["found"]


def test_a_damaged_journal_is_told(auditmw, db):
    journal = Journal(Path("trail.db.auditmw"))
    journal.append_sealed(1, bytes(16), b"{}")
    journal.close()
    [segment] = Path("trail.db.auditmw").glob("*.journal")
    with segment.open("ab") as file:
        file.write(b"torn")
    assert "4 bytes are damaged" in auditmw("doctor", "--format", "json", db=db).out


def test_losses_on_record_are_warned_of(auditmw, db):
    trail = AuditTrail(db)
    trail.start()
    trail.sink.control("drop", count=3)
    trail.close()
    found = findings(auditmw("doctor", "--format", "json", db=db))
    assert found["losses on record"]["state"] == "warning"


def test_a_key_that_others_may_read_is_a_problem(auditmw, db):
    Path("trail.db.auditmw/hash.key").chmod(0o644)
    result = auditmw("doctor", "--format", "json", db=db)
    assert result.code == 1
    assert "chmod 600" in findings(result)["digest key"]["found"]


def test_a_missing_key_is_warned_of_and_one_in_the_environment_is_named(auditmw, db, monkeypatch):
    Path("trail.db.auditmw/hash.key").unlink()
    assert findings(auditmw("doctor", "--format", "json", db=db))["digest key"]["state"] == "warning"
    monkeypatch.setenv("AUDITMW_KEY", "ab" * 32)
    assert findings(auditmw("doctor", "--format", "json", db=db))["digest key"]["found"] == "in AUDITMW_KEY"


def test_csv_is_csv(auditmw, db):
    header, *lines = auditmw("doctor", "--format", "csv", db=db).out.splitlines()
    assert header == "state,what,found"
    assert 'ok,store,"answers, and its schema is current"' in lines


def test_a_trail_of_lines_is_not_advised_to_make_a_key_that_it_cannot_have(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with AuditTrail("jsonl:///lines") as trail, trail.call(action="ask"):
        pass
    found = findings(auditmw("doctor", "--format", "json", db="jsonl:///lines"))["signing key"]
    assert found == {"state": "ok", "what": "signing key", "found": "this store keeps no tree, so nothing is signed"}


def test_a_missing_database_is_a_problem_and_is_not_made(auditmw, tmp_path):
    result = auditmw("doctor", db=f"sqlite:///{tmp_path}/none.db")
    assert result.code == 1
    assert not list(tmp_path.iterdir())


def test_a_journal_in_memory_is_warned_of(auditmw, db, monkeypatch):
    shared = Path("/dev/shm")
    if filesystem_of(shared) != "tmpfs" or not os.access(shared, os.W_OK):
        pytest.skip("there is no tmpfs here")
    monkeypatch.setenv("AUDITMW_JOURNAL_DIR", str(shared))
    assert "set AUDITMW_JOURNAL_DIR" in auditmw("doctor", "--format", "json", db=db).out
