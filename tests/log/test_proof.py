from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import EvidenceError, UnknownSigner
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.keys import Ed25519Signer
from auditmw.log.merkle import Frontier, inclusion_proof, leaf_hash
from auditmw.log.proof import Proof

ORIGIN = "example.com/trail"
SIGNER = Ed25519Signer(ORIGIN, bytes(range(32)))
LEAVES = [leaf_hash(bytes([number])) for number in range(20)]


def prove(index, size, extra=None):
    def node(level, number):
        return Frontier().extend(LEAVES[number << level : number + 1 << level]).root()

    checkpoint = Checkpoint(ORIGIN, size, Frontier().extend(LEAVES[:size]).root()).sign(SIGNER)
    return Proof(index, tuple(inclusion_proof(index, size, node)), checkpoint, extra)


NO_INDEX = r"^a proof names its leaf in a line that begins with index$"
PROOF = prove(5, 11)
TEXT = PROOF.to_text()


def test_a_proof_is_spelled_as_the_specification_says():
    hashes = "".join(b64encode(value).decode() + "\n" for value in PROOF.hashes)
    assert f"c2sp.org/tlog-proof@v1\nindex 5\n{hashes}\n{PROOF.checkpoint}" == TEXT
    assert (
        prove(0, 1, b"hi").to_text().startswith("c2sp.org/tlog-proof@v1\nextra aGk=\nindex 0\n\nexample.com/trail\n1\n")
    )


@given(st.integers(0, 19), st.integers(1, 20), st.none() | st.binary(max_size=40))
def test_a_proof_reads_back_and_verifies_without_the_trail(index, size, extra):
    index = min(index, size - 1)
    proof = prove(index, size, extra)
    again = Proof.from_text(proof.to_text())
    assert again == proof
    assert again.verify(LEAVES[index], ORIGIN, [SIGNER.verifier]).size == size


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_a_proof_with_any_character_changed_is_refused(at, char):
    changed = TEXT[:at] + char + TEXT[at + 1 :]
    if changed != TEXT:
        with pytest.raises(EvidenceError):
            Proof.from_text(changed).verify(LEAVES[5], ORIGIN, [SIGNER.verifier])


@given(
    st.text() | st.lists(st.sampled_from(["\n", "\n\n", "extra ", "index ", "0", "AAAA", TEXT[:23], "= "])).map("".join)
)
def test_reading_garbage_gives_a_proof_that_reads_back_the_same_or_a_plain_error(text):
    for source in (text, TEXT[:23] + text, TEXT[:31] + text):
        try:
            proof = Proof.from_text(source)
        except EvidenceError:
            continue
        assert proof.to_text() == source


def test_a_proof_speaks_for_its_own_leaf_trail_and_key_only():
    with pytest.raises(EvidenceError, match="does not lead to the root"):
        PROOF.verify(LEAVES[6], ORIGIN, [SIGNER.verifier])
    with pytest.raises(EvidenceError, match=r"not of 'example\.com/other'"):
        PROOF.verify(LEAVES[5], "example.com/other", [SIGNER.verifier])
    with pytest.raises(UnknownSigner):
        PROOF.verify(LEAVES[5], ORIGIN, [Ed25519Signer(ORIGIN, bytes(32)).verifier])


def test_a_proof_spliced_onto_another_checkpoint_is_refused():
    with pytest.raises(EvidenceError, match="does not lead to the root"):
        Proof(5, PROOF.hashes, prove(5, 12).checkpoint).verify(LEAVES[5], ORIGIN, [SIGNER.verifier])


def test_an_index_beyond_the_checkpoint_is_refused():
    with pytest.raises(EvidenceError, match="a tree of 11 leaves holds no leaf 11"):
        Proof(11, PROOF.hashes, PROOF.checkpoint).verify(LEAVES[5], ORIGIN, [SIGNER.verifier])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a proof begins with the line c2sp.org/tlog-proof@v1"),
        (TEXT.replace("@v1", "@v2"), "a proof begins with the line c2sp.org/tlog-proof@v1"),
        ("\n" + TEXT, "a proof begins with the line c2sp.org/tlog-proof@v1"),
        ("\ufeff" + TEXT, "a proof begins with the line c2sp.org/tlog-proof@v1"),
        (TEXT.replace("\n", "\r\n"), "a proof begins with the line c2sp.org/tlog-proof@v1"),
        (TEXT.partition("\n\n")[0] + "\n", "its checkpoint follows a blank line"),
        (TEXT.replace("index 5\n", ""), NO_INDEX),
        (TEXT.replace("index 5", "Index 5"), NO_INDEX),
        ("c2sp.org/tlog-proof@v1\n\n" + PROOF.checkpoint, NO_INDEX),
        (
            "c2sp.org/tlog-proof@v1\nextra AAAA\n\n" + PROOF.checkpoint,
            NO_INDEX,
        ),
        (
            TEXT.replace("index 5", "extra AAAA\nextra AAAA\nindex 5"),
            NO_INDEX,
        ),
        (TEXT.replace("index 5", "index 5\nextra AAAA"), "is not base64"),
        (TEXT.replace("index 5", "index 05"), "is not a decimal number"),
        (TEXT.replace("index 5", "index  5"), "is not a decimal number"),
        (TEXT.replace("index 5", "index -5"), "is not a decimal number"),
        (TEXT.replace("index 5", "extra A\nindex 5"), "is not base64"),
        (TEXT.replace("index 5", "index 5\nAAAAA"), "is not base64"),
        (TEXT.replace("index 5", "index 5" + "\nAAAA" * 64), "a proof has at most 63 hashes, not 68"),
    ],
)
def test_text_that_is_no_proof_is_refused(text, message):
    with pytest.raises(EvidenceError, match=message):
        Proof.from_text(text)


def test_a_proof_has_up_to_sixty_three_hashes():
    proof = Proof(0, (LEAVES[0],) * 63, "checkpoint")
    assert Proof.from_text(proof.to_text()) == proof
    with pytest.raises(EvidenceError, match="at most 63 hashes, not 64"):
        Proof.from_text(Proof(0, (LEAVES[0],) * 64, "checkpoint").to_text())


def test_a_malformed_checkpoint_in_a_proof_is_refused():
    for spoiled in (TEXT[:-1], TEXT + "\n", TEXT.replace("\n11\n", "\n011\n")):
        with pytest.raises(EvidenceError):
            Proof.from_text(spoiled).verify(LEAVES[5], ORIGIN, [SIGNER.verifier])
