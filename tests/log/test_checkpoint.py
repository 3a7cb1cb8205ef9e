from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import EvidenceError, UnknownSigner
from auditmw.log.checkpoint import Checkpoint, check_consistency, open_checkpoint
from auditmw.log.keys import Ed25519Signer
from auditmw.log.merkle import EMPTY_ROOT, Frontier, consistency_proof, leaf_hash
from auditmw.log.note import sign_note

ORIGIN = "example.com/trail"
SIGNER = Ed25519Signer(ORIGIN, bytes(range(32)))
LEAVES = [leaf_hash(bytes([number])) for number in range(20)]
ROOT = b64encode(EMPTY_ROOT).decode()
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)

NO_CHECKPOINT = r"^a checkpoint is an origin, a size and a root hash, a line each, and no empty line$"
NOT_EMPTY = r"^an empty tree has the hash of nothing as its root, and no proof leads from it$"


def head(size, origin=ORIGIN, leaves=LEAVES):
    return Checkpoint(origin, size, Frontier().extend(leaves[:size]).root())


def proof(old_size, new_size):
    return consistency_proof(
        old_size, new_size, lambda level, index: Frontier().extend(LEAVES[index << level : index + 1 << level]).root()
    )


def test_a_checkpoint_is_spelled_as_the_specification_says():
    assert Checkpoint(ORIGIN, 0, EMPTY_ROOT).to_text() == f"{ORIGIN}\n0\n{ROOT}\n"
    assert Checkpoint(ORIGIN, 12, EMPTY_ROOT, ("b", "a")).to_text() == f"{ORIGIN}\n12\n{ROOT}\nb\na\n"


@given(LINES, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3))
def test_a_signed_checkpoint_opens_to_the_same(origin, size, root, extensions):
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert Checkpoint.from_text(checkpoint.to_text()) == checkpoint
    assert open_checkpoint(checkpoint.sign(SIGNER), origin, [SIGNER.verifier]) == checkpoint


def test_a_signed_checkpoint_never_changes_its_bytes():
    assert head(3).sign(SIGNER) == (
        "example.com/trail\n"
        "3\n"
        "O2zM1+PgI/85MAbwMDFe562esRGwIrQfun5bejlz9og=\n"
        "\n"
        "— example.com/trail "
        "4Klydp0D/Il8AkqG9DMV3zJk9dKbzk+rvswzUe0wdNdmcgfy5Kmcl/YvzLDvOai3rdN3zh+mkViu3cekWRmChqguLAk=\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^a checkpoint ends in a newline$"),
        (f"{ORIGIN}\n0\n{ROOT}", "^a checkpoint ends in a newline$"),
        ("\n", NO_CHECKPOINT),
        (f"{ORIGIN}\n0\n", NO_CHECKPOINT),
        (f"\n0\n{ROOT}\n", NO_CHECKPOINT),
        (
            f"{ORIGIN}\n0\n{ROOT}\n\n",
            NO_CHECKPOINT,
        ),
        (
            f"{ORIGIN}\n0\n{ROOT}\n\nextension\n",
            NO_CHECKPOINT,
        ),
        (
            f"{ORIGIN}\n\n0\n{ROOT}\n",
            NO_CHECKPOINT,
        ),
        (f"{ORIGIN}\n0\n{ROOT[:-1]}\n", "is not base64 in its one spelling"),
        (f"{ORIGIN}\n0\n{ROOT[:-2]}V=\n", "is not base64 in its one spelling"),
        (f"{ORIGIN}\n0\n{EMPTY_ROOT.hex()}\n", "the root hash of a checkpoint has 32 bytes, not 48"),
        (f"{ORIGIN}\n0\nAAAA\n", "the root hash of a checkpoint has 32 bytes, not 3"),
        (f"{ORIGIN}\r\n0\r\n{ROOT}\r\n", "^a note holds a control character: copy it without changing its line ends$"),
        (f"\ud800\n0\n{ROOT}\n", "^a note holds half a surrogate pair, which is not UTF-8$"),
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text, message):
    with pytest.raises(EvidenceError, match=message):
        Checkpoint.from_text(text)


@pytest.mark.parametrize(
    "size",
    ["00", "01", "-1", "+1", "1.0", "1e3", "0x1", " 1", "1 ", "1_000", "٣", "²", "1" * 20, "9" * 5000, "NaN", "one"],
)
def test_a_size_that_is_no_plain_decimal_is_refused(size):
    with pytest.raises(EvidenceError, match="is not a decimal number of at most 19 digits"):
        Checkpoint.from_text(f"{ORIGIN}\n{size}\n{ROOT}\n")


def test_an_error_quotes_no_more_than_eighty_digits_of_a_size():
    with pytest.raises(EvidenceError, match=r"^'1{80}' is not"):
        Checkpoint.from_text(f"{ORIGIN}\n{'1' * 81}\n{ROOT}\n")


def test_a_size_may_have_nineteen_digits():
    assert Checkpoint.from_text(f"{ORIGIN}\n{'9' * 19}\n{ROOT}\n").size == 10**19 - 1


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("two\nlines", 1, EMPTY_ROOT),
        Checkpoint("", 1, EMPTY_ROOT),
        Checkpoint(ORIGIN, -1, EMPTY_ROOT),
        Checkpoint(ORIGIN, 1, EMPTY_ROOT[:31]),
        Checkpoint(ORIGIN, 1, EMPTY_ROOT, ("",)),
        Checkpoint(ORIGIN, 1, EMPTY_ROOT, ("\n",)),
    ],
)
def test_a_checkpoint_that_could_not_be_read_back_is_not_signed(checkpoint):
    with pytest.raises(EvidenceError):
        checkpoint.sign(SIGNER)


def test_an_origin_of_several_lines_cannot_smuggle_in_a_size():
    with pytest.raises(EvidenceError, match="cannot be the origin of a checkpoint"):
        Checkpoint(f"{ORIGIN}\n5\n{ROOT}", 1, EMPTY_ROOT).sign(SIGNER)


def test_a_checkpoint_of_another_trail_is_refused():
    note = head(3, origin="example.com/other").sign(SIGNER)
    with pytest.raises(EvidenceError, match=r"the checkpoint is of 'example\.com/other', not of 'example\.com/trail'"):
        open_checkpoint(note, ORIGIN, [SIGNER.verifier])


def test_a_checkpoint_under_a_key_that_is_not_pinned_proves_nothing():
    note = head(3).sign(Ed25519Signer(ORIGIN, bytes(32)))
    with pytest.raises(UnknownSigner):
        open_checkpoint(note, ORIGIN, [SIGNER.verifier])


def test_a_note_of_another_purpose_is_no_checkpoint():
    with pytest.raises(EvidenceError, match=NO_CHECKPOINT):
        open_checkpoint(sign_note("hello\n", SIGNER), ORIGIN, [SIGNER.verifier])


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_trail_that_only_grew_is_consistent(old_size, new_size):
    old_size, new_size = sorted((old_size, new_size))
    check_consistency(head(old_size), head(new_size), proof(old_size, new_size))


def test_a_trail_rolled_back_is_not_consistent():
    with pytest.raises(EvidenceError, match="no consistency proof leads from 7 to 5 leaves"):
        check_consistency(head(7), head(5), [])


def test_a_trail_whose_past_was_changed_is_not_consistent():
    changed = [LEAVES[1], *LEAVES[1:]]
    with pytest.raises(EvidenceError, match="does not begin with the tree of 5 leaves"):
        check_consistency(head(5, leaves=changed), head(7), proof(5, 7))


def test_two_roots_of_one_size_are_two_histories():
    with pytest.raises(EvidenceError, match="one of them is another history"):
        check_consistency(head(5), head(5, leaves=LEAVES[::-1]), [])


def test_two_trails_are_not_consistent():
    with pytest.raises(EvidenceError, match="checkpoints of two trails"):
        check_consistency(head(5), head(5, origin="example.com/other"), [])


def test_every_trail_begins_with_the_empty_one():
    check_consistency(head(0), head(0), [])
    check_consistency(head(0), head(5), [])


@pytest.mark.parametrize(
    ("old", "new", "hashes"),
    [
        (head(0), head(5), [LEAVES[0]]),
        (Checkpoint(ORIGIN, 0, LEAVES[0]), head(5), []),
        (head(0), Checkpoint(ORIGIN, 0, LEAVES[0]), []),
    ],
)
def test_an_empty_trail_has_one_root_and_no_proof(old, new, hashes):
    with pytest.raises(EvidenceError, match=NOT_EMPTY):
        check_consistency(old, new, hashes)
