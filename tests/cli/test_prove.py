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


def test_an_entry_is_proven_by_how_a_table_shortens_its_id(auditmw, db, vkey, last):
    short = f"{last[:13]}-{last[-4:]}"
    assert short in auditmw("query", "--user", "carol", db=db).out
    result = auditmw("prove", short, db=db)
    assert (result.code, last in result.out) == (0, True)


def test_a_changed_or_damaged_proof_is_1(auditmw, db, vkey, last, tmp_path):
    text = auditmw("prove", last, db=db).out
    for damaged in (text.replace("ask", "ast"), text[:-20], text.replace('"proof"', '"prove"')):
        (tmp_path / "changed.proof").write_text(damaged)
        result = auditmw("verify", "--proof", "changed.proof", "--key", vkey)
        assert (result.code, "verdict tampered" in result.words) == (1, True)


@pytest.mark.parametrize("text", ["root:x:0:0:root:/root:/bin/sh\n", "", '{"a": 1}', "[1]"])
def test_a_file_that_never_was_a_proof_is_3(auditmw, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.txt").write_text(text)
    result = auditmw("verify", "--proof", "some.txt")
    assert (result.code, result.out) == (3, "")
    assert "some.txt: This is no proof: give the file that `auditmw prove ID --out FILE` wrote" in result.err


def test_a_missing_proof_is_3(auditmw):
    assert auditmw("verify", "--proof", "nowhere.proof").code == 3


def test_a_proof_of_a_newer_format_is_2(auditmw, db, vkey, last, tmp_path):
    (tmp_path / "newer.proof").write_text(auditmw("prove", last, db=db).out.replace("entry-proof/v1", "entry-proof/v2"))
    result = auditmw("verify", "--proof", "newer.proof", "--key", vkey)
    assert (result.code, "verdict cannot tell" in result.words) == (2, True)
    assert "upgrade auditmw" in result.words


def test_an_entry_that_no_signed_checkpoint_covers_is_2_and_the_remedy_is_told(auditmw, db):
    with AuditTrail(db) as trail:
        entry = next(trail.sync.query(user_id="alice"))
    vkey = auditmw("keys", "init", db=db).out.strip()
    result = auditmw("prove", entry.request_id, db=db)
    assert (result.code, result.out) == (2, "")
    assert "Only unsigned checkpoints cover this entry: run `auditmw keys init`, start the writer again" in result.err
    with AuditTrail(db):
        pass
    assert auditmw("prove", entry.request_id, "--out", "entry.proof", db=db).code == 0
    assert auditmw("verify", "--proof", "entry.proof", "--key", vkey).code == 0


def test_a_proof_whose_checkpoint_nobody_signed_is_2(auditmw, db, vkey, last, tmp_path):
    proof = json.loads(auditmw("prove", last, db=db).out)
    proof["proof"] = proof["proof"].rpartition("\n\n")[0] + "\n"
    (tmp_path / "unsigned.proof").write_text(json.dumps(proof))
    result = auditmw("verify", "--proof", "unsigned.proof", "--key", vkey)
    assert (result.code, "verdict cannot tell" in result.words) == (2, True)
    assert "nobody signed the checkpoint of this proof" in result.words


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
    (tmp_path / "other.key").write_text("ab" * 32)
    (tmp_path / "other.key").chmod(0o600)
    monkeypatch.setenv("AUDITMW_KEY_FILE", "other.key")
    result = auditmw("verify", "--proof", "p", "--key", vkey)
    assert (result.code, "is not the trail's digest key" in result.words) == (2, True)
    monkeypatch.setenv("AUDITMW_KEY_FILE", "trail.db.auditmw/hash.key")
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
