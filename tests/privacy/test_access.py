"""Access: all of a person, nothing of anybody else, and a manifest over it."""

import hashlib
import json

import pytest

from auditmw import AuditTrail
from auditmw.errors import ConfigurationError
from auditmw.log.keys import Ed25519Signer
from auditmw.log.note import Note
from auditmw.privacy.access import give_access
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.holds import add_hold
from auditmw.privacy.person import Person
from auditmw.privacy.policy import read_policy
from auditmw.privacy.reading import record_read
from auditmw.privacy.vault import LocalKey, Vault

ALICE = Person(user_id="alice")


@pytest.fixture
def people(trail, make_entry):
    fields = [
        {"purpose": "support", "legal_basis": "contract", "provider": "anthropic"},
        {"user_id": "bob", "subject": "alice-as-subject", "error_message": "bobs <error>"},
        {"provider": "openai", "subject": "bobs-mother"},
    ]
    trail.append("w", [make_entry(n, host="host-1", **more) for n, more in enumerate(fields)])


def lines(directory):
    return [json.loads(line) for line in (directory / "entries.jsonl").read_text().splitlines()]


def test_a_person_gets_all_their_entries_and_nothing_of_anybody_else(people, log, privacy, tmp_path):
    set_policy(log, privacy, read_policy("standard"))
    summary = give_access(log, privacy, ALICE, tmp_path / "out")
    found = lines(tmp_path / "out")
    assert [entry["request_id"] for entry in found] == ["r0", "r2"]
    assert summary.entries == 2
    assert set(found[0]["gone_by"]) == {"core", "who", "digests", "error", "metadata", "content"}
    assert found[0]["gone_by"]["metadata"] < found[0]["gone_by"]["who"]
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "bob" not in text
    assert "host-1" not in text
    page = (tmp_path / "out" / "index.html").read_text()
    for said in ("support (contract): 1", "none stated: 1", "anthropic: 1", "standard: who gone by 2 years"):
        assert said in page


def test_a_subject_learns_nothing_of_who_asked_about_them(people, log, privacy, tmp_path):
    give_access(log, privacy, Person(subject="alice-as-subject"), tmp_path / "out")
    (entry,) = lines(tmp_path / "out")
    assert (entry["request_id"], entry["user_id"], entry["session_id"]) == ("r1", None, None)


def test_consultations_have_a_date_and_a_purpose_and_no_name(people, trail, privacy, tmp_path):
    with ControlLog(trail.url, actor="carla") as log:
        record_read(log, privacy, "content", "complaint 4711", 1, subject="alice")
        first = give_access(log, privacy, Person(subject="alice"), tmp_path / "one")
        second = give_access(log, privacy, Person(subject="alice"), tmp_path / "two")
    assert [c["purpose"] for c in first.consultations] == ["complaint 4711"]
    assert [c["purpose"] for c in second.consultations] == ["complaint 4711", "access request"]
    assert "carla" not in (tmp_path / "two" / "index.html").read_text()


def test_a_user_learns_of_consultations_of_them_and_not_of_those_that_they_made(people, trail, privacy, tmp_path):
    with ControlLog(trail.url, actor="alice") as log:
        record_read(log, privacy, "content", "complaint 4711", 1, subject="alice")
        record_read(log, privacy, "content", "of somebody else", 1, subject="bob")
        summary = give_access(log, privacy, ALICE, tmp_path / "one")
    assert [c["purpose"] for c in summary.consultations] == ["complaint 4711"]


def test_the_manifest_is_signed_and_covers_the_files(people, trail, privacy, tmp_path):
    signer = Ed25519Signer.generate(privacy.head()[0])
    with ControlLog(trail.url, signing_key=signer) as log:
        add_hold(log, privacy, "claim", user_id="alice")
        give_access(log, privacy, ALICE, tmp_path / "out")
    note = Note.from_text((tmp_path / "out" / "manifest.txt").read_text())
    assert note.verify([signer.verifier])
    manifest = json.loads(note.text.splitlines()[1])
    assert manifest["entries"] == 2
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert "2 entries" in (tmp_path / "out" / "index.html").read_text()


def test_content_is_decrypted_with_the_key_and_named_without_it(trail, log, privacy, tmp_path):
    vault = Vault(LocalKey(bytes(32)))
    with AuditTrail(trail.url, content=vault) as audit, audit.call(action="ask", user_id="alice") as call:
        call.request = {"messages": ["hello"]}
    give_access(log, privacy, ALICE, tmp_path / "a", vault=vault)
    give_access(log, privacy, ALICE, tmp_path / "b")
    give_access(log, privacy, ALICE, tmp_path / "c", vault=Vault(LocalKey(bytes(31) + b"1")))
    contents = [lines(tmp_path / name)[0]["content"] for name in "abc"]
    assert contents[0]["request"] == {"messages": ["hello"]}
    assert contents[1] == "kept under lock, and not decrypted for this copy"
    assert "is under key" in contents[2]


def test_a_directory_that_is_there_and_a_read_without_a_purpose_are_refused(people, log, privacy, tmp_path):
    with pytest.raises(ConfigurationError, match="there already"):
        give_access(log, privacy, ALICE, tmp_path)
    with pytest.raises(ConfigurationError, match="what for"):
        record_read(log, privacy, "content", None, 1)
