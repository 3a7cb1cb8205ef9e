"""The proof of one entry: made from a stored trail, checked without it."""

import json

import pytest

from auditmw.errors import ConfigurationError, EvidenceError, NotCovered, NotSigned, UnknownSigner
from auditmw.keys import HashKey
from auditmw.log.disclosure import Content, EntryProof
from auditmw.log.keys import Ed25519Signer
from auditmw.proving import prove_entry
from auditmw.stores.protocol import Batch

B = "b" * 32
KEY = HashKey(bytes(32))
MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = [{"type": "text", "text": "Paris."}]


@pytest.fixture
def proven(trail, signer):
    """A proof of entry 77 with the class of who."""
    return prove_entry(trail.url, "r77", ["who"])


def altered(original, **changes):
    return EntryProof.from_json(json.dumps({**json.loads(original.to_json()), **changes}).encode())


@pytest.mark.parametrize("number", [0, 77, 255, 256, 511, 512, 599])
def test_every_entry_that_a_checkpoint_covers_is_proven(trail, signer, number):
    proof = EntryProof.from_json(prove_entry(trail.url, f"r{number}").to_json())
    checkpoint = proof.verify([signer.verifier])
    assert (checkpoint.size, checkpoint.origin) == (600, signer.name)
    assert (proof.core()["request_id"], proof.classes) == (f"r{number}", {})


def test_an_entry_that_no_checkpoint_covers_is_not_proven_yet(trail):
    with pytest.raises(NotCovered):
        prove_entry(trail.url, "r600")


def test_a_newer_checkpoint_that_nobody_signed_does_not_hide_the_signed_one(trail, signer):
    trail.sign()
    assert prove_entry(trail.url, "r77").verify([signer.verifier]).size == 600
    with pytest.raises(NotSigned):
        prove_entry(trail.url, "r610")


def test_an_entry_that_only_unsigned_checkpoints_cover_is_not_proven(trail):
    trail.execute("DELETE FROM audit_checkpoints")
    trail.sign()
    with pytest.raises(NotSigned, match="auditmw keys init"):
        prove_entry(trail.url, "r77")


def test_a_changed_entry_is_called_changed_though_nobody_signed(trail):
    trail.execute("DELETE FROM audit_checkpoints")
    trail.change("r77", user_id="'mallory'")
    with pytest.raises(EvidenceError, match="entry 77"):
        prove_entry(trail.url, "r77")


def test_a_proof_that_nobody_signed_says_nothing_and_still_agrees_with_itself(proven, signer):
    unsigned = altered(proven, proof=proven.proof.rpartition("\n\n")[0] + "\n")
    with pytest.raises(UnknownSigner, match="nobody signed"):
        unsigned.verify([signer.verifier])
    assert unsigned.check_path().size == 600


def test_an_unknown_entry_and_a_store_without_a_tree_are_refused(trail, tmp_path):
    with pytest.raises(ConfigurationError, match="no entry has the id"):
        prove_entry(trail.url, "nobody")
    (tmp_path / "audit_2026-01-01.jsonl").write_text("")
    with pytest.raises(ConfigurationError, match="keeps no tree"):
        prove_entry(f"jsonl:///{tmp_path}", "r77")


def test_only_the_named_classes_are_shown(proven, signer):
    proven.verify([signer.verifier])
    assert proven.shown() == {"user_id": "user-0", "session_id": "session"}
    text = proven.to_json().decode()
    assert "it failed" not in text
    assert f"{77:064x}" not in text


def test_a_proof_says_nothing_without_the_key(proven, stranger):
    for keys in ([], [stranger.verifier], [Ed25519Signer("another", bytes(range(32))).verifier]):
        with pytest.raises(UnknownSigner):
            proven.verify(keys)
    assert proven.check_path().size == 600


def test_a_proof_of_a_changed_entry_is_not_made(trail):
    trail.change("r77", user_id="'mallory'")
    with pytest.raises(EvidenceError, match="entry 77"):
        prove_entry(trail.url, "r77")


def test_a_changed_proof_does_not_hold(proven, signer):
    entry = proven.entry.replace("claude-opus-4", "claude-haiku-4")
    who = {"who": {"salt": proven.classes["who"].salt, "values": '{"session_id":"session","user_id":"user-1"}'}}
    salt = {"who": {"salt": "00" * 32, "values": proven.classes["who"].values}}
    error = {"error": json.loads(proven.to_json())["classes"]["who"]}
    for changes in (
        {"entry": entry},
        {"entry": proven.entry.replace(",", ", ", 1)},
        {"entry": "nonsense"},
        {"classes": who},
        {"classes": salt},
        {"classes": error},
        {"classes": {"who": {"salt": "zz", "values": "{}"}}},
        {"proof": proven.proof.replace("index 77", "index 78")},
        {"proof": ""},
    ):
        with pytest.raises(EvidenceError):
            altered(proven, **changes).verify([signer.verifier])


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":"x","entry":"","proof":"","classes":{}}'])
def test_a_file_that_is_no_proof_is_refused(data):
    with pytest.raises(EvidenceError):
        EntryProof.from_json(data)


def test_an_erased_or_unknown_class_cannot_be_shown(trail):
    with pytest.raises(EvidenceError, match="there is no class"):
        prove_entry(trail.url, "r77", ["everything"])
    trail.change("r77", erased="1", user_id="NULL", session_id="NULL")
    with pytest.raises(EvidenceError):
        prove_entry(trail.url, "r77", ["who"])


def test_a_class_that_is_empty_is_left_out(trail, signer):
    assert prove_entry(trail.url, "r0", ["who", "metadata"]).classes == {}


@pytest.fixture
def asked(trail, signer, make_entry):
    """A trail whose last entry was made of a known prompt and answer."""
    entry = make_entry(
        620,
        input_hash=KEY.digest(MESSAGES),
        output_hash=KEY.digest(ANSWER),
        system_prompt_hash=KEY.digest("Be brief."),
        hash_key_id=KEY.id,
    )
    trail.append(Batch(B, 201, [entry]))
    trail.sign(signer)
    return trail


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (json.dumps(MESSAGES, indent=1).encode(), "input_hash"),
        (b"What is the capital of France?\n", "input_hash"),
        (b"Paris.", "output_hash"),
        (b"Be brief.\n", "system_prompt_hash"),
    ],
)
def test_one_text_is_shown_to_be_what_was_sent_or_received(asked, signer, data, digest):
    proof = EntryProof.from_json(prove_entry(asked.url, "r620", content=(data, KEY)).to_json())
    proof.verify([signer.verifier])
    proof.check_content(KEY.digest)
    assert proof.content.digest == digest
    assert list(proof.classes) == ["digests"]


def test_another_text_is_not(asked):
    with pytest.raises(EvidenceError, match="is not what was sent or received"):
        prove_entry(asked.url, "r620", content=(b"What is the capital of Spain?", KEY))
    with pytest.raises(EvidenceError, match="is not what was sent or received"):
        prove_entry(asked.url, "r0", content=(b"Paris.", KEY))


def test_content_that_was_exchanged_in_the_proof_does_not_hold(asked):
    proof = prove_entry(asked.url, "r620", content=(b"Paris.", KEY))
    for content in (Content("output_hash", "London."), Content("params_hash", "x"), Content("input_hash", ANSWER)):
        forged = altered(proof, content={"digest": content.digest, "value": content.value})
        with pytest.raises(EvidenceError, match="the content is not what"):
            forged.check_content(KEY.digest)
    altered(proof, content=None).check_content(KEY.digest)


def test_a_proof_made_before_an_erasure_still_holds(proven, trail, signer):
    trail.execute("DELETE FROM audit_entries WHERE request_id = 'r77'")
    assert proven.verify([signer.verifier]).size == 600


def test_a_proof_is_small(trail):
    proof = prove_entry(trail.url, "r77")
    assert len(proof.to_json()) - len(proof.entry) < 2048
