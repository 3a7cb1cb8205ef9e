import sqlite3


def users():
    with sqlite3.connect("trail.db") as database:
        found = {user for (user,) in database.execute("SELECT user_id FROM audit_entries WHERE kind = 'llm'")}
    database.close()
    return found


def test_a_person_is_erased_with_a_receipt(auditmw, db, tmp_path):
    assert "alice" in users()
    result = auditmw("erase", "--user", "alice", "--yes", "--receipt", "receipt.txt", db=db)
    assert result.code == 0
    assert "alice" not in users()
    assert "alice" not in (tmp_path / "receipt.txt").read_text()
    assert "bob" in users()
    assert auditmw("verify", db=db).code == 2


def test_an_unknown_person_is_not_found(auditmw, db):
    assert auditmw("erase", "--user", "nobody", "--yes", db=db).code == 3


def test_a_person_under_hold_is_kept(auditmw, db):
    assert auditmw("hold", "add", "--user", "bob", "--reason", "case 7", db=db).code == 0
    assert auditmw("erase", "--user", "bob", "--yes", db=db).code == 2
    assert "bob" in users()


def test_nobody_is_erased_without_a_name(auditmw, db):
    assert auditmw("erase", "--yes", db=db).code == 3
