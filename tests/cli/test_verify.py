import asyncio
import json
import re
import sqlite3

import pytest

from auditmw import AuditTrail
from auditmw.cli import verify as command
from auditmw.entry import AuditEntry
from auditmw.log.keys import Ed25519Signer
from auditmw.log.report import Complete, Continuity, Erased, Report, Signed, Structure
from auditmw.stores.protocol import Batch
from auditmw.stores.sqlite import SqliteStore
from auditmw.verdicts import lines_of


@pytest.fixture
def vkey(db, auditmw):
    """The key of the trail, which has signed it."""
    key = auditmw("keys", "init", db=db).out.strip()
    with AuditTrail(db, checkpoint_sinks=["checkpoints.txt"]) as trail, trail.call(action="ask"):
        pass
    return key


def change(db, sql):
    connection = sqlite3.connect(db.removeprefix("sqlite:///"))
    connection.execute(sql)
    connection.commit()
    connection.close()


def test_without_a_key_an_untouched_trail_is_2_and_says_why(auditmw, db):
    result = auditmw("verify", db=db)
    assert (result.code, result.err) == (2, "")
    assert result.out.startswith("self-consistent  auditmw/")
    assert "whoever can write the database could have written it all anew" in result.words
    assert "It does not mean that what was written was true" in result.words


def test_under_the_key_it_is_0_and_each_level_speaks(auditmw, db, vkey):
    result = auditmw("verify", "--key", vkey, "--checkpoint", "checkpoints.txt", db=db)
    assert result.code == 0
    for said in ("verified", "structure ok 10 entries", "signed ok the first 10 entries, by auditmw/", "continuity ok"):
        assert said in result.words


def test_the_key_may_lie_in_a_file_or_a_policy(auditmw, db, vkey, tmp_path):
    (tmp_path / "trail.vkey").write_text(vkey + "\n")
    (tmp_path / "policy").write_text(f"log {vkey}\n")
    assert auditmw("verify", "--key", "trail.vkey", db=db).code == 0
    assert auditmw("verify", "--policy", "policy", db=db).code == 0
    assert auditmw("verify", "--key", "nowhere", db=db).code == 3
    assert auditmw("verify", "--key", "a+b", db=db).code == 3


def test_a_key_to_be_compared_is_whole_at_80_columns(auditmw, db, vkey, tmp_path, monkeypatch):
    entry = json.loads(auditmw("query", "--format", "json", "--limit", "1", db=db).out)
    auditmw("prove", entry["request_id"], "--class", "digests", "--out", "entry.proof", db=db)
    monkeypatch.setenv("COLUMNS", "80")
    announced = auditmw("keys", "rotate", db=db).out.strip()
    assert announced in "".join(auditmw("verify", "--key", vkey, db=db).out.split())
    shown = auditmw("verify", "--proof", "entry.proof", "--key", vkey).out
    assert entry["request_id"] in shown
    assert "…" not in shown


def test_tampering_is_1_and_the_entry_is_named(auditmw, db, vkey):
    change(db, "UPDATE audit_entries SET model = 'x' WHERE leaf_index = 3")
    for arguments in ([], ["--key", vkey]):
        result = auditmw("verify", *arguments, db=db)
        assert result.code == 1
        assert re.search(r"entry 3 \([0-9a-f-]{36}\) was changed", result.words)
    assert "the leaf hashes of the first 10 entries lead to a root signed by" in result.words


def test_json_and_csv_say_the_same(auditmw, db, vkey):
    report = json.loads(auditmw("verify", "--format", "json", "--key", vkey, db=db).out)
    assert (report["verdict"], report["exit_code"], report["signed"]["size"]) == ("verified", 0, 10)
    assert report["findings"] == []
    lines = auditmw("verify", "--format", "csv", "--key", vkey, db=db).out.splitlines()
    assert lines[0] == "level,result,detail"
    assert {line.split(",")[0] for line in lines[1:]} == {"structure", "signed", "continuity", "complete"}


def test_nothing_is_written(auditmw, db, vkey, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    auditmw("verify", "--key", vkey, "--jobs", "2", db=db)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_missing_trail_is_3_and_1_for_whoever_holds_a_checkpoint_of_it(auditmw, db, vkey):
    assert auditmw("verify", db="sqlite:///nowhere.db").code == 3
    assert auditmw("verify").code == 3
    assert auditmw("verify", db="memory://").code == 3
    result = auditmw("verify", "--checkpoint", "checkpoints.txt", db="sqlite:///nowhere.db")
    assert (result.code, result.err.startswith("tampered: you hold 1 checkpoints")) == (1, True)
    assert auditmw("verify", "--checkpoint", "none.txt", db=db).code == 3


def test_an_empty_trail_is_3(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def make():
        store = SqliteStore("empty.db")
        await store.open()
        await store.close()

    asyncio.run(make())
    result = auditmw("verify", db="sqlite:///empty.db")
    assert (result.code, result.out.split()[0]) == (3, "empty")


def test_a_file_that_is_no_database_is_damaged_and_a_newer_schema_cannot_be_judged(auditmw, db, tmp_path):
    (tmp_path / "text.db").write_text("not a database, and long enough to be looked at as one" * 10)
    assert auditmw("verify", db="sqlite:///text.db").code == 1
    change(db, "INSERT INTO audit_schema VALUES (999)")
    result = auditmw("verify", db=db)
    assert (result.code, result.err.startswith("cannot tell: ")) == (2, True)


def test_a_damaged_file_is_1(auditmw, db, tmp_path):
    path = tmp_path / "trail.db"
    data = bytearray(path.read_bytes())
    data[-4096 * 10 :] = b"\xff" * 4096 * 10
    path.write_bytes(data)
    assert auditmw("verify", db=db).code == 1


def test_notes_about_what_is_not_in_order_are_shown(auditmw, db, vkey):
    with AuditTrail(db) as trail:
        trail.sink.control("drop", count=4)
        trail.sink.control("key", vkey="auditmw/next+12345678+AAAA")
        trail.sync.flush()
        result = auditmw("verify", "--key", vkey, "--format", "csv", db=db)
    assert "entries lie after the newest checkpoint, since " in result.out
    assert "nothing vouches for them yet" in result.out
    assert "the trail names auditmw/next+12345678+AAAA as its next key" in result.out
    assert "it runs, or it vanished" in result.out
    assert "4 entries dropped, 0 lost, 0 set aside" in result.out


def test_keys_and_checkpoints_of_others_are_told_apart(auditmw, db, vkey, tmp_path):
    origin = vkey.partition("+")[0]
    other = Ed25519Signer(origin, bytes(32)).verifier.to_text()
    result = auditmw("verify", "--key", other, "--format", "csv", db=db)
    assert result.code == 2
    assert "no checkpoint is signed by a key that you trust" in result.out
    assert "1 checkpoints are signed by keys that you did not name" in result.out
    (tmp_path / "bad.txt").write_text("nonsense")
    result = auditmw("verify", "--checkpoint", "bad.txt", "--format", "csv", db=db)
    assert "a checkpoint that you hold cannot be used" in result.out


def test_right_after_keys_init_it_is_2_and_the_remedy_is_told(auditmw, db):
    vkey = auditmw("keys", "init", db=db).out.strip()
    result = auditmw("verify", "--key", vkey, "--format", "csv", db=db)
    assert (result.code, "start the writer again, so that it signs" in result.out) == (2, True)
    with AuditTrail(db):
        pass
    assert auditmw("verify", "--key", vkey, db=db).code == 0


def test_a_trail_of_lines_is_not_advised_to_make_a_key_that_it_cannot_have(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with AuditTrail("jsonl:///lines") as trail, trail.call(action="ask"):
        pass
    for arguments in ([], ["--key", Ed25519Signer("auditmw/other", bytes(32)).verifier.to_text()]):
        result = auditmw("verify", *arguments, db="jsonl:///lines")
        assert (result.code, "keys init" in result.out) == (2, False)
        assert "nothing can be signed here: this store keeps no tree" in result.words


def test_many_findings_are_shortened(auditmw, db):
    change(db, "UPDATE audit_entries SET app = 'x'")
    with AuditTrail(db) as trail:
        for _ in range(30):
            trail.sink.control("note")
    change(db, "UPDATE audit_entries SET host = 'x'")
    result = auditmw("verify", "--format", "csv", db=db)
    assert result.out.count("was changed") <= 21
    assert "findings in all" in result.out


def test_an_entry_of_a_newer_version_is_said_to_be_one(auditmw, db):
    async def append():
        store = SqliteStore("trail.db")
        await store.open()
        await store.append(Batch("w" * 32, 1, [AuditEntry(request_id="r", timestamp_us=1, v=99)]))
        await store.close()

    asyncio.run(append())
    result = auditmw("verify", db=db)
    assert (result.code, "1 entries, the first at 7, are of a newer auditmw" in result.words) == (2, True)


def test_what_was_removed_and_when_the_clock_went_back_is_told():
    report = Report(
        origin="o",
        entries=5,
        pruned=1000,
        structure=Structure(0, None, [], 2),
        signed=Signed(1, 1, 1005, "key", 0, None, 0, 0, []),
        continuity=Continuity(0, 0, []),
        complete=Complete(1, 1, 0, [], 0, 0, 0, [Erased("who", 3, 1004, "erase")]),
        findings=[],
    )
    details = [line.detail for line in lines_of(report)]
    assert "the first 1,000 entries were pruned, as a retain entry says" in details
    assert "the clock went back 2 times" in details
    assert "who of 3 entries removed, by the erase entry at 1004" in details


def test_a_long_trail_on_a_terminal_has_a_progress_bar(auditmw, db, monkeypatch):
    monkeypatch.setattr(command, "_LONG", 1)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = auditmw("verify", db=db)
    assert (result.code, "verifying" in result.err) == (2, True)
