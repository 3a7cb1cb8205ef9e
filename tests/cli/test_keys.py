import pytest

from auditmw import AuditTrail
from auditmw.log.keys import Verifier
from auditmw.rotation import Rotation
from auditmw.signing_keys import read_signing_key


def test_init_makes_a_key_of_the_trails_name_that_only_its_owner_can_read(auditmw, db, tmp_path):
    result = auditmw("keys", "init", db=db)
    key, path = Verifier.from_text(result.out.strip()), tmp_path / "trail.db.auditmw" / "signing.key"
    assert (result.code, path.stat().st_mode & 0o777) == (0, 0o600)
    assert key == read_signing_key(path).verifier
    assert auditmw("verify", db=db).words.split()[1] == key.name
    assert auditmw("keys", "show", db=db).out == result.out
    assert (auditmw("keys", "init", db=db).code, auditmw("keys", "show", db=db).out) == (3, result.out)


def test_init_makes_the_trail_where_there_is_none(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key = auditmw("keys", "init", "--file", "keys/a.key", db="sqlite:///new.db").out.strip()
    monkeypatch.setenv("AUDITMW_SIGNING_KEY", "keys/a.key")
    with AuditTrail("sqlite:///new.db"):
        pass
    assert auditmw("verify", "--key", key, db="sqlite:///new.db").code == 0
    assert (tmp_path / "keys" / "a.key.signed").exists()


def test_a_key_that_is_not_there_is_answered_with_how_to_make_one(auditmw, db):
    result = auditmw("keys", "show", db=db)
    assert (result.code, "make one with `auditmw keys init`" in result.err) == (3, True)


def test_the_key_may_be_in_the_environment_itself(auditmw, db, tmp_path, monkeypatch):
    shown = auditmw("keys", "init", db=db).out
    text = (tmp_path / "trail.db.auditmw" / "signing.key").read_text().strip()
    monkeypatch.setenv("AUDITMW_SIGNING_KEY", text)
    assert auditmw("keys", "show").out == shown
    assert auditmw("keys", "rotate", db=db).code == 3


@pytest.mark.parametrize("arguments", [["init"], ["show"], ["rotate"], ["sing"]])
def test_what_is_not_said_is_asked_for(auditmw, arguments):
    assert auditmw("keys", *arguments).code == 3


def test_a_store_without_a_tree_has_nothing_to_sign(auditmw, tmp_path):
    result = auditmw("keys", "init", db=f"jsonl:///{tmp_path / 'folder'}")
    assert (result.code, "keeps no tree" in result.err) == (3, True)


def test_the_old_key_signs_that_a_new_one_follows(auditmw, db, tmp_path):
    old = auditmw("keys", "init", db=db).out.strip()
    result = auditmw("keys", "rotate", db=db)
    new, folder = result.out.strip(), tmp_path / "trail.db.auditmw"
    assert (result.code, auditmw("keys", "show", db=db).out.strip()) == (0, new)
    kept = folder / f"signing.key.{Verifier.from_text(old).key_id.hex()}"
    assert read_signing_key(kept).verifier.to_text() == old
    checked = auditmw("verify", "--key", old, "--format", "csv", db=db)
    assert (checked.code, f"the trail names {new} as its next key" in checked.out) == (0, True)
    assert auditmw("verify", "--key", new, db=db).code == 2  # it has signed nothing yet
    with AuditTrail(db) as trail, trail.call(action="ask"):
        pass
    assert auditmw("verify", "--key", new, db=db).code == 0
    assert auditmw("verify", "--key", old, db=db).code == 2  # a newer checkpoint of a key that was not named
    assert auditmw("verify", "--key", old, "--key", new, db=db).code == 0


def test_a_rotation_that_the_old_key_did_not_sign_changes_nothing(auditmw, db, tmp_path, monkeypatch):
    old = auditmw("keys", "init", db=db).out
    monkeypatch.setattr(Rotation, "_covers", lambda *_: False)
    result = auditmw("keys", "rotate", db=db)
    assert (result.code, auditmw("keys", "show", db=db).out) == (1, old)
