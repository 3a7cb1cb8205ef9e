from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import EvidenceError
from auditmw.log.commitment import commit

SALT = bytes(range(32))
OPENINGS = st.tuples(
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.integers(0, 65535),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=40),
)


def test_the_bytes_that_are_hashed_are_these_and_stay_so():
    spelled = b"auditmw/commitment\x00" + b"\x00\x03who" + b"\x00\x02" + SALT + b'{"user_id":"alice"}'
    assert commit("who", 2, SALT, b'{"user_id":"alice"}') == sha256(spelled).digest()


@given(OPENINGS, OPENINGS)
def test_a_commitment_has_one_opening(one, other):
    assert (commit(*one) == commit(*other)) == (one == other)


@given(OPENINGS, st.integers(1, 8))
def test_no_byte_can_move_from_one_part_to_another(opening, shift):
    name, version, salt, canonical = opening
    moved = (salt + canonical)[shift : 32 + shift]
    if len(moved) == 32 and moved != salt:
        assert commit(name, version, moved, (salt + canonical)[32 + shift :]) != commit(*opening)
    assert commit(name + "\x00", version, salt, canonical) != commit(name, version, salt, b"\x00" + canonical)


def test_the_same_value_under_two_salts_looks_different():
    assert commit("who", 1, SALT, b"yes") != commit("who", 1, SALT[::-1], b"yes")


def test_a_guess_without_the_salt_does_not_match():
    guesses = {commit("who", 1, bytes(32), guess) for guess in (b"yes", b"no")}
    guesses |= {sha256(guess).digest() for guess in (b"yes", b"no")}
    assert commit("who", 1, SALT, b"yes") not in guesses


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_salt_of_another_length_is_refused(length):
    with pytest.raises(EvidenceError, match=f"a salt has 32 bytes, not {length}"):
        commit("who", 1, bytes(length), b"yes")
