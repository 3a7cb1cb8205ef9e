"""Proofs of content under lock, and of entries that are restricted."""

import json

import pytest

from auditmw import AuditTrail
from auditmw.cli.app import run
from auditmw.errors import EvidenceError, UnknownSigner
from auditmw.log.disclosure import EntryProof
from auditmw.log.keys import Ed25519Signer
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.holds import add_hold
from auditmw.privacy.person import Person
from auditmw.privacy.vault import LocalKey, Vault
from auditmw.proving import prove_entry


@pytest.fixture
def signer(privacy):
    return Ed25519Signer.generate(privacy.head()[0])


@pytest.fixture
def kept(trail, signer):
    """The ids of a call with content and of one without."""
    with AuditTrail(trail.url, content=Vault(LocalKey(bytes(32))), signing_key=signer) as audit:
        for request in ({"prompt": "my pet is Rex"}, None):
            with audit.call(action="ask", user_id="alice") as call:
                call.request = request
    return [entry.request_id for entry in trail.entries()]


def altered(proof, **changes):
    data = json.loads(proof.to_json())
    data["classes"]["content"] |= changes
    return EntryProof.from_json(json.dumps(data).encode())


def test_content_is_proven_as_it_lies_under_lock(kept, trail, signer):
    proof = EntryProof.from_json(prove_entry(trail.url, kept[0], ["content", "who"]).to_json())
    proof.verify([signer.verifier])
    assert proof.shown()["user_id"] == "alice"
    assert proof.shown()["content_under_lock"].endswith(" bytes")
    assert b"Rex" not in proof.to_json()


@pytest.mark.parametrize("changes", [{"values": "AAAA"}, {"salt": "00" * 32}, {"values": "no Base64!"}, {"salt": "zz"}])
def test_other_content_does_not_pass_for_it(kept, trail, signer, changes):
    proof = altered(prove_entry(trail.url, kept[0], ["content"]), **changes)
    with pytest.raises(EvidenceError, match="content"):
        proof.verify([signer.verifier])


def test_content_of_another_entry_does_not_pass_for_it(kept, trail, signer):
    proof, other = (prove_entry(trail.url, one, ["content"]) for one in kept)
    assert "content" not in other.classes
    data = json.loads(other.to_json())
    data["classes"] = json.loads(proof.to_json())["classes"]
    with pytest.raises(EvidenceError, match="content"):
        EntryProof.from_json(json.dumps(data).encode()).verify([signer.verifier])


def test_content_that_was_erased_is_proven_by_a_proof_from_before_alone(kept, trail, signer, log, privacy):
    proof = prove_entry(trail.url, kept[0], ["content"])
    assert Erasure(log, privacy, wait_seconds=2).run(Person(user_id="alice")).answer == "erased"
    proof.verify([signer.verifier])
    with pytest.raises(EvidenceError, match="were erased"):
        prove_entry(trail.url, kept[0], ["content"])


def test_a_proof_of_content_needs_a_key_that_one_trusts(kept, trail):
    with pytest.raises(UnknownSigner):
        prove_entry(trail.url, kept[0], ["content"]).verify([])


def test_the_command_shows_what_is_restricted_for_a_purpose_only(trail, make_entry, privacy, log, signer, capsys):
    trail.append("w", [make_entry(1)])
    add_hold(log, privacy, "a claim", user_id="alice")
    Erasure(log, privacy, wait_seconds=1).run(Person(user_id="alice"))
    with ControlLog(trail.url, signing_key=signer) as signed:
        signed.declare("heartbeat")
    asked = ["prove", "r1", "--db", trail.url]
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == {}
    assert run([*asked, "--class", "who"]) == 3
    assert "r1 is restricted" in capsys.readouterr().err
    assert trail.controls("read") == []
    assert run([*asked, "--class", "who", "--restricted", "--purpose", "claim 4711"]) == 0
    assert "alice" in capsys.readouterr().out
    (read,) = trail.controls("read")
    assert read.subject == "alice"
    assert read.metadata == {
        "what": "restricted",
        "purpose": "claim 4711",
        "entry": "r1",
        "classes": ["who"],
        "count": 1,
    }
