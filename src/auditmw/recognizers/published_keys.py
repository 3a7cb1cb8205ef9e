"""Keys that their vendors publish themselves, in documentation and sample code: they are nobody's secret.

Kept as the first 16 digits of their SHA-256, so that this file does not read like a list of keys.
"""

from __future__ import annotations

from hashlib import sha256

PUBLISHED = frozenset({
    # Amazon Web Services, user guides
    "1a5d44a2dca19669", "c6ea27c534f993d3",
    # Stripe, API reference
    "2cafc0970149a84f", "f2d6ca16515033e5", "2d1f7723aabc5c7a",
    # Google, sources of its Firebase SDKs
    "2037abcaffb2b777", "3f370c9dd8225c63", "e4a5542bb7fd7b67", "a19f89ab3555eac1", "0b476bdf9acf2123",
    "eb540d2b6ee2a0a4", "37f8f09bdf12c2f2", "8731261cb72d8626", "49f777db995e8260", "27a9a42931dff7eb",
    "dc0fcf046c61640c", "4c98242dcadc8b29", "ea9bb1082cf95663", "3a8b61d0f636b007", "a6c814bc555ae62c",
})  # fmt: skip


def is_published(token: bytes) -> bool:
    """Whether this is such a key."""
    return sha256(token).hexdigest()[:16] in PUBLISHED
