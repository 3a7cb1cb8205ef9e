from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import ConfigurationError
from auditmw.log.keys import Ed25519Signer, Verifier, is_key_name, key_id

# The first test key of RFC 8032, section 7.1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
NAME = "example.com/trail"
SIGNER = Ed25519Signer(NAME, SEED)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1).filter(is_key_name)
SEEDS = st.binary(min_size=32, max_size=32)
NO_KEY = r"^a key reads name\+id\+base64, without a newline: copy the whole line$"


def encode(algorithm, key):
    return b64encode(bytes([algorithm]) + key).decode()


def test_the_public_half_and_the_signature_are_those_of_rfc_8032():
    assert SIGNER.verifier == Verifier(NAME, PUBLIC)
    assert SIGNER.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a")


def test_the_id_binds_the_name_and_the_algorithm_to_the_key():
    expected = sha256(NAME.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    assert SIGNER.key_id == SIGNER.verifier.key_id == key_id(NAME, PUBLIC) == expected


def test_the_texts_of_a_key_are_spelled_as_signed_notes_say():
    identity = SIGNER.key_id.hex()
    assert SIGNER.verifier.to_text() == f"{NAME}+{identity}+{encode(1, PUBLIC)}"
    assert SIGNER.to_text() == f"PRIVATE+KEY+{NAME}+{identity}+{encode(1, SEED)}"


@given(NAMES, SEEDS)
def test_keys_read_back_from_their_texts(name, seed):
    signer = Ed25519Signer(name, seed)
    assert Ed25519Signer.from_text(signer.to_text()) == signer
    assert Verifier.from_text(signer.verifier.to_text()) == signer.verifier


@given(SEEDS, st.binary(max_size=50), st.binary(max_size=50))
def test_a_signature_fits_its_message_and_key_only(seed, message, other):
    signer = Ed25519Signer(NAME, seed)
    signature = signer.sign(message)
    assert signer.verifier.verifies(message, signature)
    assert signer.verifier.verifies(other, signature) == (message == other)
    assert SIGNER.verifier.verifies(message, signature) == (seed == SEED)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_signature_of_any_other_shape_does_not_fit(signature):
    assert not SIGNER.verifier.verifies(b"message", signature)


def test_a_key_that_is_no_point_of_the_curve_fits_nothing():
    assert not Verifier(NAME, b"\xff" * 32).verifies(b"message", SIGNER.sign(b"message"))


def test_generated_keys_differ():
    one, other = Ed25519Signer.generate(NAME), Ed25519Signer.generate(NAME)
    assert one.name == NAME
    assert one.seed != other.seed


def test_a_signing_key_does_not_show_itself():
    assert "seed" not in repr(SIGNER)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NO_KEY),
        (NAME, NO_KEY),
        (f"{NAME}+12345678", NO_KEY),
        (f"{NAME}+12345678+!!", NO_KEY),
        (SIGNER.verifier.to_text() + "\n", NO_KEY),
        (SIGNER.verifier.to_text()[:-1], NO_KEY),
        (f"{NAME}+12345678+", f"the key of {NAME} is not an Ed25519 key"),
        (f"{NAME}+12345678+{encode(2, PUBLIC)}", f"the key of {NAME} is not an Ed25519 key"),
        (f"{NAME}+12345678+{encode(1, PUBLIC)}", f"key of {NAME} does not match its id"),
        (SIGNER.verifier.to_text().replace(NAME, "example.org/trail"), "does not match its id"),
        (f"{NAME}+12345678+{encode(1, PUBLIC[:31])}", "an Ed25519 key has 32 bytes, not 31"),
        (f"a trail+12345678+{encode(1, PUBLIC)}", "'a trail' cannot name a key"),
    ],
)
def test_text_that_is_no_verification_key_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        Verifier.from_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SIGNER.verifier.to_text(), "a signing key begins with PRIVATE\\+KEY\\+"),
        (SIGNER.to_text().replace(NAME, "example.org/trail"), "key of example.org/trail does not match its id"),
        ("PRIVATE+KEY+", NO_KEY),
    ],
)
def test_text_that_is_no_signing_key_is_refused_without_showing_it(text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        Ed25519Signer.from_text(text)
    assert encode(1, SEED) not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\tb", "a\u00a0b", "a\u2028b", "a\nb", "a\x00b", chr(0xD800), chr(0xDFFF)]
)
def test_a_name_that_a_signature_line_cannot_carry_is_refused(name):
    assert not is_key_name(name)
    with pytest.raises(ConfigurationError, match="cannot name a key"):
        Ed25519Signer(name, SEED)
    with pytest.raises(ConfigurationError, match="cannot name a key"):
        Verifier(name, PUBLIC)


@pytest.mark.parametrize("name", ["a", "!", "\ud7ff", "\ue000", "\U0001f512", "example.com/a-b_c~d"])
def test_any_other_name_is_a_key_name(name):
    assert is_key_name(name)
