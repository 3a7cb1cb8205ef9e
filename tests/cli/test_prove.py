import json
import sqlite3

import pytest

from auditmw import AuditTrail


@pytest.fixture
def vkey(db, auditmw):
    """The key of the trail, which has signed it."""
    key = auditmw("keys", "init", db=db).out.strip()
    with AuditTrail(db) as trail, trail.context(user_id="carol"), trail.call(action="ask"):
        pass
    return key


@pytest.fixture
def last(db, vkey):
    """The id of Carol's entry."""
    with AuditTrail(db) as trail:
        (entry,) = trail.sync.query(user_id="carol")
    return entry.request_id


def test_a_proof_is_checked_without_the_trail(auditmw, db, vkey, last, tmp_path):
    result = auditmw("prove", last, "--class", "who", "--out", "entry.proof", db=db)
    assert (result.code, result.out) == (0, "")
    (tmp_path / "trail.db").unlink()
    checked = auditmw("verify", "--proof", "entry.proof", "--key", vkey)
    assert checked.code == 0
    assert f"request_id {last}" in checked.words
    assert "user_id carol" in checked.words
    fields = json.loads(auditmw("verify", "--proof", "entry.proof", "--key", vkey, "--format", "json").out)
    assert (fields["verdict"], fields["user_id"]) == ("verified", "carol")
    assert auditmw("verify", "--proof", "entry.proof", "--key", vkey, "--format", "csv").out.startswith("verdict,")


def test_without_the_key_a_proof_is_2(auditmw, db, last):
    auditmw("prove", last, "--out", "entry.proof", db=db)
    result = auditmw("verify", "--proof", "entry.proof")
    assert (result.code, "verdict cannot tell" in result.words) == (2, True)


def test_a_changed_proof_is_1_and_a_missing_one_3(auditmw, db, vkey, last, tmp_path):
    text = auditmw("prove", last, db=db).out
    (tmp_path / "changed.proof").write_text(text.replace("ask", "ast"))
    result = auditmw("verify", "--proof", "changed.proof", "--key", vkey)
    assert (result.code, "verdict tampered" in result.words) == (1, True)
    (tmp_path / "none.proof").write_text("nonsense")
    assert auditmw("verify", "--proof", "none.proof").code == 1
    assert auditmw("verify", "--proof", "nowhere.proof").code == 3


def test_an_unknown_entry_or_trail_is_3_and_an_uncovered_entry_2(auditmw, db, vkey):
    assert auditmw("prove", "nobody", db=db).code == 3
    assert auditmw("prove", "nobody", db="sqlite:///nowhere.db").code == 3
    assert auditmw("prove", "nobody").code == 3
    with AuditTrail(db) as trail:
        with trail.call(action="late"):
            pass
        trail.sync.flush()
        (entry,) = trail.sync.query(action="late")
        result = auditmw("prove", entry.request_id, db=db)
    assert (result.code, "No checkpoint covers this entry yet" in result.err) == (2, True)


def test_a_changed_entry_is_not_proven(auditmw, db, last):
    connection = sqlite3.connect("trail.db")
    connection.execute("UPDATE audit_entries SET user_id = 'x' WHERE request_id = ?", (last,))
    connection.commit()
    connection.close()
    assert auditmw("prove", last, db=db).code == 1


def test_a_text_is_shown_to_be_what_was_received(auditmw, db, vkey, tmp_path, monkeypatch):
    with AuditTrail(db) as trail:
        entry = next(trail.sync.query(user_id="alice"))
    (tmp_path / "answer.txt").write_text("ok\n")
    assert auditmw("prove", entry.request_id, "--content", "answer.txt", "--out", "p", db=db).code == 0
    result = auditmw("verify", "--proof", "p", "--key", vkey)
    assert (result.code, "can be checked only with the trail's digest key" in result.words) == (2, True)
    monkeypatch.setenv("AUDITMW_KEY_FILE", "trail.db.auditmw/hash.key")
    result = auditmw("verify", "--proof", "p", "--key", vkey, "--format", "json")
    assert (result.code, json.loads(result.out)["content"]) == (0, [{"type": "text", "text": "ok"}])
    (tmp_path / "p").write_text((tmp_path / "p").read_text().replace('"ok"', '"no"'))
    assert auditmw("verify", "--proof", "p", "--key", vkey).code == 1
    (tmp_path / "answer.txt").write_text("no")
    assert auditmw("prove", entry.request_id, "--content", "answer.txt", db=db).code == 1


def test_content_needs_the_digest_key(auditmw, db, last, tmp_path):
    (tmp_path / "answer.txt").write_text("Paris.")
    assert auditmw("prove", last, "--content", "nowhere.txt", db=db).code == 3
    (tmp_path / "trail.db.auditmw" / "hash.key").unlink()
    result = auditmw("prove", last, "--content", "answer.txt", db=db)
    assert (result.code, "needs the trail's digest key" in result.err) == (3, True)
