"""Signing and verification keys in the text encodings of signed notes; Ed25519, or a signer of your own."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol, Self

from auditmw.errors import ConfigurationError

ED25519 = b"\x01"
KEY_BYTES = 32
PRIVATE_PREFIX = "PRIVATE+KEY+"


class Signer(Protocol):
    """What signs checkpoints: a key file, or an adapter to a KMS or an HSM."""

    @property
    def name(self) -> str:
        """The key's name, by convention the trail's origin; no spaces, no plus sign."""

    @property
    def key_id(self) -> bytes:
        """Four bytes, as `key_id(name, public_key)` gives them for Ed25519."""

    def sign(self, message: bytes) -> bytes:
        """The signature alone over the message."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public Ed25519 key that its holder trusts; the name and the algorithm are part of it."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _check(self.name, self.public_key)

    @property
    def key_id(self) -> bytes:
        """The four bytes that name this key in a signature line."""
        return key_id(self.name, self.public_key)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads `name+id+key`; raises ConfigurationError where it is not that, or not an Ed25519 key."""
        verifier = cls(*_decode(text))
        if verifier.to_text() != text:
            raise ConfigurationError(f"the verification key of {verifier.name} does not match its id: copy it again")
        return verifier

    def to_text(self) -> str:
        """The key as `name+id+key`, to give to those who verify."""
        return _encode(self.name, self.key_id, self.public_key)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made this signature over the message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """A private Ed25519 key held in memory."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check(self.name, self.seed)

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads `PRIVATE+KEY+name+id+seed`; raises ConfigurationError, without the key in it, where it is not that."""
        if not text.startswith(PRIVATE_PREFIX):
            raise ConfigurationError(f"a signing key begins with {PRIVATE_PREFIX}: make one with `auditmw keys init`")
        signer = cls(*_decode(text.removeprefix(PRIVATE_PREFIX)))
        if signer.to_text() != text:
            raise ConfigurationError(f"the signing key of {signer.name} does not match its id: restore its file")
        return signer

    def to_text(self) -> str:
        """The key as `PRIVATE+KEY+name+id+seed`, for a file that only its owner can read."""
        return PRIVATE_PREFIX + _encode(self.name, self.key_id, self.seed)

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    @property
    def key_id(self) -> bytes:
        """The four bytes that name this key in a signature line."""
        return self.verifier.key_id

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def key_id(name: str, public_key: bytes) -> bytes:
    """The id of an Ed25519 key: it binds the name and the algorithm to the key."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def is_key_name(name: str) -> bool:
    """Whether a signature line can carry this name: not empty, UTF-8, no white space, no control character, no plus."""
    return bool(name) and "+" not in name and not any(map(_unfit_in_name, name))


def _unfit_in_name(char: str) -> bool:
    return char < " " or char.isspace() or "\ud800" <= char <= "\udfff"


def _check(name: str, key: bytes) -> None:
    if not is_key_name(name):
        raise ConfigurationError(f"{name!r} cannot name a key: use the trail's origin, without spaces and plus signs")
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"an Ed25519 key has {KEY_BYTES} bytes, not {len(key)}")


def _encode(name: str, identity: bytes, key: bytes) -> str:
    return f"{name}+{identity.hex()}+{b64encode(ED25519 + key).decode()}"


def _decode(text: str) -> tuple[str, bytes]:
    try:
        name, _identity, encoded = text.split("+", 2)
        data = b64decode(encoded, validate=True)
    except ValueError:
        raise ConfigurationError("a key reads name+id+base64, without a newline: copy the whole line") from None
    if data[:1] != ED25519:
        raise ConfigurationError(f"the key of {name} is not an Ed25519 key, and no other algorithm is accepted")
    return name, data[1:]
