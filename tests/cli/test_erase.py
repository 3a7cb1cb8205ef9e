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


def test_nothing_is_erased_where_the_receipt_cannot_be_written(auditmw, db):
    result = auditmw("erase", "--user", "alice", "--yes", "--receipt", "nowhere/receipt.txt", db=db)
    assert (result.code, result.out) == (3, "")
    assert "nowhere/receipt.txt cannot be written: No such file or directory" in result.err
    assert "alice" in users()


def test_no_empty_receipt_stays_of_an_erasure_that_was_refused(auditmw, db, tmp_path):
    result = auditmw("erase", "--user", "alice", "--yes", "--receipt", "receipt.txt", db="sqlite:///missing.db")
    assert result.code == 3
    assert not (tmp_path / "receipt.txt").exists()


def test_a_receipt_that_cannot_be_written_after_the_erasure_is_printed(auditmw, db):
    result = auditmw("erase", "--user", "alice", "--yes", "--receipt", "/dev/full", db=db)
    assert result.code == 1
    assert "auditmw erasure receipt" in result.out
    assert "/dev/full" in result.err
    assert "alice" not in users()


def test_a_receipt_takes_the_place_of_an_older_one(auditmw, db, tmp_path):
    (tmp_path / "receipt.txt").write_text("older\n" * 100)
    assert auditmw("erase", "--user", "alice", "--yes", "--receipt", "receipt.txt", db=db).code == 0
    assert (tmp_path / "receipt.txt").read_text().startswith("auditmw erasure receipt\n")
    assert "older" not in (tmp_path / "receipt.txt").read_text()


def test_an_unsigned_receipt_says_why(auditmw, db):
    said = "the receipt is not signed: this trail has no signing key"
    assert said in auditmw("erase", "--user", "alice", "--yes", db=db).err
    auditmw("keys", "init", db=db)
    assert said not in auditmw("erase", "--user", "bob", "--yes", db=db).err


def test_an_unsigned_manifest_says_why(auditmw, db):
    said = "manifest.txt is not signed: this trail has no signing key"
    assert said in auditmw("access", "--user", "alice", "--out", "first", db=db).err
    auditmw("keys", "init", db=db)
    assert said not in auditmw("access", "--user", "alice", "--out", "second", db=db).err


def test_nobody_is_erased_without_a_name(auditmw, db):
    assert auditmw("erase", "--yes", db=db).code == 3
