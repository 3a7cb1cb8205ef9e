"""Commitments: they bind an entry to the values of a field class, and say nothing once the salt is destroyed."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from auditmw.errors import EvidenceError

SALT_BYTES = 32
DOMAIN = b"auditmw/commitment\x00"


def commit(name: str, version: int, salt: bytes, canonical: bytes) -> bytes:
    """The commitment to a field class's canonical bytes: 32 bytes.

    The salt must be 32 random bytes of their own for each class of each entry: without it, a short value can be guessed
    from its commitment. Raises EvidenceError for a salt of another length, which would not bind.
    """
    if len(salt) != SALT_BYTES:
        raise EvidenceError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return sha256(commitment_prefix(name, version) + salt + canonical).digest()


@lru_cache(maxsize=64)
def commitment_prefix(name: str, version: int) -> bytes:
    """What is hashed before salt and bytes.

    Every part but the last has a fixed or a stated length, so that no two inputs make the same bytes.
    """
    encoded = name.encode()
    return DOMAIN + len(encoded).to_bytes(2, "big") + encoded + version.to_bytes(2, "big")
