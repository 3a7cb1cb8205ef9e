"""Erasure: what goes, what stays, and what is answered."""

import os
import sqlite3
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from tests.privacy.killed import is_killed_at

from auditmw.call import Call
from auditmw.errors import ConfigurationError
from auditmw.journal import Journal
from auditmw.log.disclosure import EntryProof
from auditmw.log.keys import Ed25519Signer
from auditmw.log.note import Note
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.holds import add_hold, release_hold
from auditmw.privacy.person import Person
from auditmw.privacy.policy import read_policy
from auditmw.privacy.vault import LocalKey, Vault
from auditmw.proving import prove_entry
from auditmw.sealing import encode, id_bytes

ALICE = Person(user_id="alice")


@pytest.fixture
def erase(log, privacy):
    def erase(person=ALICE, wait_seconds=0.5, **options):
        return Erasure(log, privacy, wait_seconds=wait_seconds, **options).run(person)

    return erase


def test_what_is_held_of_a_person_goes_and_everything_else_stays(trail, make_entry, erase):
    trail.append("w", [make_entry(n, user_id="alice" if n % 3 else "bob") for n in range(30)])
    others = trail.entries(user_id="bob")
    assert trail.verify().verdict == "self-consistent"
    receipt = erase()
    assert (receipt.answer, receipt.exit_code) == ("erased", 0)
    assert receipt.classes == {"who": 20, "digests": 20, "error": 20, "metadata": 20}
    assert trail.entries(user_id="alice") == []
    assert trail.entries(user_id="bob") == others
    gone = [entry for entry in trail.entries() if entry.user_id is None]
    assert [entry.input_tokens for entry in gone] == [n for n in range(30) if n % 3]
    assert {(e.session_id, e.input_hash, e.error_message, e.metadata) for e in gone} == {(None, None, None, None)}
    report = trail.verify()
    assert report.verdict == "self-consistent"
    assert {(e.field_class, e.entries, e.action) for e in report.complete.erased} == {
        (name, 20, "erase") for name in ("who", "digests", "error", "metadata")
    }


def test_the_receipt_is_signed_and_says_nothing_of_the_person(trail, make_entry, erase):
    trail.append("w", [make_entry(n) for n in range(3)])
    signer = Ed25519Signer.generate("auditmw/test")
    note = Note.from_text(erase().to_text(signer))
    assert note.verify([signer.verifier])
    assert "alice" not in note.text
    receipt = msgspec.json.decode(note.text.partition("\n")[2])
    assert (receipt["answer"], receipt["classes"]["who"], receipt["kept"]) == ("erased", 3, [])
    assert receipt["left_behind"]


def test_nobody_knows_an_unknown_person_and_nothing_is_written(trail, make_entry, erase):
    trail.append("w", [make_entry(1)])
    receipt = erase(Person(user_id="nobody"))
    assert (receipt.answer, receipt.exit_code) == ("not_found", 3)
    assert trail.controls("erase") == []
    assert trail.controls("erasure") == []


def test_a_person_who_was_erased_is_unknown_afterwards(trail, make_entry, erase, privacy):
    trail.append("w", [make_entry(1)])
    assert erase().answer == "erased"
    assert erase().answer == "not_found"
    assert privacy.settings("erasure/") == {}


def test_a_subject_goes_with_all_entries_about_them_whoever_made_them(trail, make_entry, erase):
    trail.append("w", [make_entry(n, user_id=f"doctor-{n}", subject="patient" if n < 3 else None) for n in range(5)])
    assert erase(Person(subject="patient")).classes["who"] == 3
    assert [entry.user_id for entry in trail.entries()] == [None, None, None, "doctor-3", "doctor-4"]


def test_an_id_in_several_tenants_needs_the_tenant(trail, make_entry, erase):
    trail.append("w", [make_entry(n, tenant=tenant) for n, tenant in enumerate(["acme", "acme", "other"])])
    with pytest.raises(ConfigurationError, match="--tenant"):
        erase()
    assert erase(Person(user_id="alice", tenant="acme")).classes["who"] == 2
    assert [entry.user_id for entry in trail.entries()] == [None, None, "alice"]


def test_a_floor_keeps_what_it_covers_and_is_named(trail, make_entry, erase, privacy):
    trail.append("w", [make_entry(n) for n in range(3)])
    privacy.set_setting("policy", read_policy("hipaa").to_data())
    receipt = erase()
    assert (receipt.answer, receipt.exit_code, receipt.classes) == ("partly", 2, {})
    assert "the floor [hipaa: who kept at least 6 years] keeps it" in receipt.kept
    assert len(trail.entries(user_id="alice", restricted=True)) == receipt.restricted == 3
    assert [entry.metadata["answer"] for entry in trail.controls("erasure")] == ["partly"]


def test_a_hold_defers_and_its_release_lets_the_erasure_go_on(trail, make_entry, erase, privacy, log):
    trail.append("w", [make_entry(n, session_id="s1" if n == 0 else "s2") for n in range(3)])
    hold = add_hold(log, privacy, "a claim", session_id="s1")
    receipt = erase()
    assert (receipt.answer, receipt.exit_code, receipt.classes["who"]) == ("deferred", 2, 2)
    assert receipt.kept == ["a legal hold keeps 1 entries"]
    assert [entry.user_id for entry in trail.entries()] == [None, None]
    assert [entry.user_id for entry in trail.entries(restricted=True)] == ["alice"]
    release_hold(log, privacy, hold.id)
    (receipt,) = Erasure(log, privacy).resume()
    assert (receipt.answer, receipt.classes["who"], receipt.restricted) == ("erased", 3, 0)
    assert [entry.user_id for entry in trail.entries()] == [None, None, None]
    assert trail.verify().verdict == "self-consistent"


def test_what_the_log_says_of_an_erasure_is_never_erased_with_a_person(trail, make_entry, erase, log):
    log.declare("read", subject="alice", purpose="support", count=1)
    assert erase(Person(subject="alice")).classes == {"who": 1}
    (read,) = trail.controls("read")
    assert (read.subject, read.metadata) == (None, {"purpose": "support", "count": 1})


def test_what_the_log_says_about_a_user_goes_with_them(trail, make_entry, erase, log):
    trail.append("w", [make_entry(1)])
    log.declare("read", subject="alice", what="content", purpose="support")
    log.declare("read", subject="alice", tenant="other", what="content", purpose="support")
    log.declare("read", subject="bob", what="content", purpose="support")
    trail.append("v", [make_entry(2, user_id="dora", subject="alice")])
    assert erase(Person(user_id="alice", tenant="acme")).answer == "erased"
    assert [entry.subject for entry in trail.controls("read")] == [None, "alice", "bob"]
    assert erase().classes["who"] == 2
    assert [entry.subject for entry in trail.controls("read")] == [None, None, "bob"]
    assert [entry.subject for entry in trail.entries(user_id="dora")] == ["alice"]
    assert trail.verify().verdict == "self-consistent"


def test_a_user_of_whom_only_the_log_tells_is_known(trail, erase, log):
    log.declare("read", subject="alice", what="query", count=0)
    assert erase().answer == "erased"
    assert erase().answer == "not_found"


def test_a_running_process_that_holds_entries_makes_it_partly(trail, make_entry, erase, log, privacy):
    entry = make_entry(7, request_id="0" * 32)
    journal = Journal(log.journal_dir)
    journal.append_sealed(1, id_bytes(entry.request_id), encode(entry))
    receipt = erase(wait_seconds=0.2)
    assert (receipt.answer, receipt.kept) == ("partly", ["the journals of 1 running processes still hold entries"])
    trail.append(journal.writer_id.hex(), [entry])
    journal.acknowledge(1)
    (receipt,) = Erasure(log, privacy).resume()
    assert receipt.answer == "erased"
    assert trail.entries(user_id="alice") == []
    journal.close()


def test_what_a_dead_process_left_is_stored_first_and_goes_then(trail, make_entry, erase, log):
    entry = make_entry(7, request_id="0" * 32, kind="function")
    journal = Journal(log.journal_dir)
    journal.append_sealed(1, id_bytes(entry.request_id), encode(entry))
    journal.close()
    assert erase().answer == "erased"
    assert [one.user_id for one in trail.entries()] == [None]
    assert not list(log.journal_dir.glob("*.journal"))


def test_entries_that_were_set_aside_are_overwritten_in_place(trail, make_entry, erase, log):
    log.journal_dir.mkdir(parents=True, exist_ok=True)
    path = log.journal_dir / "set_aside.jsonl"
    lines = [
        msgspec.json.encode({"error": "e", "entry": list(structs.astuple(make_entry(n, user_id=user)))})
        for n, user in enumerate(["alice", "bob", "alice"])
    ]
    path.write_bytes(b"\n".join([*lines, b"no json", b""]))
    length = path.stat().st_size
    receipt = erase()
    assert (receipt.answer, receipt.set_aside) == ("erased", 2)
    content = path.read_bytes()
    assert (len(content), content.count(b"alice"), content.count(b"bob")) == (length, 0, 1)
    assert content.splitlines()[1] == lines[1]
    assert erase().answer == "not_found"


def test_rollups_forget_the_name_and_keep_the_sums(trail, make_entry, erase):
    trail.append("w", [make_entry(n, cost_nano=5) for n in range(3)])
    trail.roll()
    assert trail.rolled() == [("alice", 3)]
    assert erase().answer == "erased"
    assert trail.rolled() == [("", 3)]


def test_a_proof_that_was_made_before_an_erasure_still_verifies(trail, make_entry, privacy):
    trail.append("w", [make_entry(n) for n in range(300)])
    signer = Ed25519Signer.generate(privacy.head()[0])
    with ControlLog(trail.url, signing_key=signer) as signed:
        signed.declare("heartbeat")
    proof = prove_entry(trail.url, "r7", ["who", "metadata"]).to_json()
    with ControlLog(trail.url, signing_key=signer) as signed:
        assert Erasure(signed, privacy, wait_seconds=5).run(ALICE).answer == "erased"
    kept = EntryProof.from_json(proof)
    assert kept.verify([signer.verifier]).size >= 300
    assert kept.shown()["user_id"] == "alice"
    assert EntryProof.from_json(prove_entry(trail.url, "r7").to_json()).verify([signer.verifier])
    assert trail.verify(verifiers=[signer.verifier]).verdict == "verified"


# --- byte search -----------------------------------------------------------------------------------------------------

CANARY = "zq7-canary"


def files_of(trail, postgres_query):
    """All files in which the trail lies: SQLite's and the journals', or PostgreSQL's tables."""
    if trail.url.startswith("sqlite"):
        folder = Path(trail.url.removeprefix("sqlite:///")).parent
    else:
        postgres_query(trail.url, "CHECKPOINT")
        ((oid,),) = postgres_query(trail.url, "SELECT oid FROM pg_database WHERE datname = current_database()")
        ((data,),) = postgres_query(trail.url, "SHOW data_directory")
        folder = Path(data) / "base" / str(oid)
    return [path for path in folder.rglob("*") if path.is_file()]


def hits(trail, postgres_query, needle):
    return sum(path.read_bytes().count(needle.encode()) for path in files_of(trail, postgres_query))


def test_no_byte_of_a_person_is_left_in_any_file(trail, make_entry, erase, postgres_query):
    calls = int(os.environ.get("AUDITMW_ERASURE_CALLS", "1000"))
    vault = Vault(LocalKey(bytes(32)))

    def sealed(n):
        call = Call(request_id=f"r{n}", timestamp_us=n, user_id=CANARY if n % 2 else "bob")
        return vault.seal(call, {"request": f"{CANARY} asks {n}", "response": f"{CANARY} is told {n}"})

    entries = [
        make_entry(
            n,
            user_id=CANARY if n % 2 else "bob",
            subject=f"{CANARY}-s" if n % 2 else None,
            session_id=f"{CANARY}-{n}" if n % 2 else "bobs",
            client_ip_hash=f"{CANARY}-ip" if n % 2 else None,
            error_message=f"{CANARY} {n} " * 40 if n % 2 else "bobs",
            metadata={"note": f"{CANARY} {n}" * (n % 200)} if n % 2 else {"note": "bobs"},
            input_hash=f"{CANARY}{n}" if n % 2 else "bobs",
            content=sealed(n),
        )
        for n in range(2 * calls)
    ]
    trail.append("w", entries)
    if trail.url.startswith("postgres"):
        postgres_query(trail.url, "ANALYZE")
    bobs = trail.entries(user_id="bob")
    assert hits(trail, postgres_query, CANARY) > calls
    before = trail.verify()
    receipt = erase(Person(user_id=CANARY), wait_seconds=20)
    assert (receipt.answer, receipt.kept) == ("erased", [])
    assert hits(trail, postgres_query, CANARY) == 0
    assert trail.select("SELECT count(*) FROM audit_content") == [(calls,)]
    assert trail.select("SELECT count(*) FROM audit_data_keys") == [(1,)]
    assert trail.entries(user_id="bob") == bobs
    after = trail.verify()
    assert (before.verdict, after.verdict) == ("self-consistent", "self-consistent")
    assert {e.field_class: e.entries for e in after.complete.erased} == dict.fromkeys(
        ("who", "digests", "error", "metadata", "content"), calls
    )


# --- killed between any two steps -------------------------------------------------------------------------------------


def test_an_erasure_killed_between_any_two_steps_is_finished_once_by_the_next(trail, make_entry, erase, privacy, log):
    killed = 0
    for number in range(30):
        first = number * 10
        entries = [make_entry(first + n, user_id="alice" if n % 2 else "bob") for n in range(10)]
        trail.append(f"w{number}", entries)
        if not is_killed_at(trail.url, number):
            break
        killed += 1
        answers = {erase().answer} | {receipt.answer for receipt in Erasure(log, privacy).resume()}
        assert answers <= {"erased", "not_found"}
        assert trail.entries(user_id="alice") == []
        assert privacy.settings("erasure/") == {}
        assert privacy.settings("unscrubbed") == {}
    assert killed >= 7
    report = trail.verify()
    assert (report.verdict, report.findings) == ("self-consistent", [])
    declared = [tuple(run) for entry in trail.controls("erase") for run in entry.metadata["leaves"]]
    assert len(declared) == len(set(declared)) == 5 * (killed + 1)
    answers = [entry.metadata["erasure"] for entry in trail.controls("erasure")]
    assert len(answers) == len(set(answers)) == killed + 1


def test_sqlite_is_asked_for_its_log_again_while_a_reader_holds_it(trail, make_entry, erase):
    if not trail.url.startswith("sqlite"):
        pytest.skip("PostgreSQL has no such log")
    trail.append("w", [make_entry(1)])
    reader = sqlite3.connect(trail.url.removeprefix("sqlite:///"), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM audit_entries").fetchall()
    receipt = erase(wait_seconds=0.2)
    assert receipt.answer == "partly"
    assert "a reader holds the write-ahead log" in receipt.kept[0]
    reader.close()
    assert erase().answer == "erased"


# --- journals and what was set aside ----------------------------------------------------------------------------------


def test_damaged_and_unknown_files_beside_the_journals_keep_nobody_waiting(trail, make_entry, erase, log):
    entry = make_entry(7, request_id="0" * 32, user_id="bob")
    journal = Journal(log.journal_dir)
    journal.append_sealed(1, id_bytes(entry.request_id), encode(entry))
    (path,) = log.journal_dir.glob(f"{journal.writer_id.hex()}*.journal")
    with path.open("ab") as file:
        file.write(b"\xff" * 100)  # cut off in the middle of a write
    (log.journal_dir / f"{journal.writer_id.hex()}.99999999.journal").write_bytes(b"auditmw\x63 of a newer version")
    trail.append("w", [make_entry(1)])
    assert erase().answer == "erased"
    journal.close()


def test_a_line_that_was_set_aside_and_is_no_entry_is_passed_over(log, make_entry, erase, trail):
    log.journal_dir.mkdir(parents=True, exist_ok=True)
    trail.append("w", [make_entry(1)])
    path = log.journal_dir / "set_aside.jsonl"
    path.write_bytes(b'{"entry":["short"]}\n{"entry":3}\n[]\n')
    before = path.read_bytes()
    receipt = erase()
    assert (receipt.answer, receipt.set_aside, path.read_bytes()) == ("erased", 0, before)


def test_the_log_names_what_it_erased_in_few_runs(trail, make_entry, erase):
    trail.append("w", [make_entry(n, metadata={"n": n} if n % 2 else None) for n in range(20)])
    erase()
    runs = [entry.metadata["leaves"] for entry in trail.controls("erase")]
    assert [len(found) for found in runs] == [10, 10]
    assert trail.verify().findings == []


def set_aside(log, make_entry, **fields):
    log.journal_dir.mkdir(parents=True, exist_ok=True)
    path = log.journal_dir / "set_aside.jsonl"
    entry = make_entry(1, **fields)
    path.write_bytes(msgspec.json.encode({"error": "e", "entry": list(structs.astuple(entry))}) + b"\n")
    return path


def test_a_hold_keeps_an_entry_that_was_set_aside(trail, make_entry, erase, log, privacy):
    path = set_aside(log, make_entry)
    hold = add_hold(log, privacy, "claim", user_id="alice")
    receipt = erase()
    assert (receipt.answer, receipt.set_aside) == ("deferred", 0)
    assert b"alice" in path.read_bytes()
    release_hold(log, privacy, hold.id)
    receipt = erase()
    assert (receipt.answer, receipt.set_aside) == ("erased", 1)
    assert b"alice" not in path.read_bytes()


def test_a_floor_keeps_an_entry_that_was_set_aside(trail, make_entry, erase, log, privacy):
    path = set_aside(log, make_entry)
    set_policy(log, privacy, read_policy("hipaa"))
    receipt = erase()
    assert (receipt.answer, receipt.set_aside) == ("partly", 0)
    assert b"alice" in path.read_bytes()


@pytest.mark.parametrize("moment", ["nonsense", -5, 10**30, None])
def test_an_entry_that_was_set_aside_for_its_time_is_erased_too(trail, make_entry, erase, log, privacy, moment):
    path = set_aside(log, make_entry, timestamp_us=moment)
    set_policy(log, privacy, read_policy("hipaa"))
    assert erase().set_aside == 1
    assert b"alice" not in path.read_bytes()


def test_rollups_forget_the_users_whose_names_go_with_a_subject(trail, make_entry, log, privacy):
    trail.append("w", [make_entry(n, user_id="bob", subject="s1" if n else None) for n in range(4)])
    trail.roll()
    assert trail.rolled() == [("bob", 4)]
    assert Erasure(log, privacy, wait_seconds=5).run(Person(subject="s1")).answer == "erased"
    assert trail.rolled() == [("", 3), ("bob", 1)]


def test_a_hold_that_comes_while_an_erasure_runs_keeps_what_it_covers(trail, make_entry, log, privacy, monkeypatch):
    monkeypatch.setattr("auditmw.privacy.person._PAGE", 5)
    trail.append("w", [make_entry(n) for n in range(20)])

    def hold(step):
        if step == "erase":
            privacy.set_setting("hold/h", {"id": "h", "reason": "claim", "user_id": "alice"})

    receipt = Erasure(log, privacy, wait_seconds=5, on_step=hold).run(ALICE)
    assert receipt.answer == "deferred"
    assert trail.select("SELECT count(*) FROM audit_entries WHERE user_id = 'alice' AND kind <> 'control'") == [(15,)]
