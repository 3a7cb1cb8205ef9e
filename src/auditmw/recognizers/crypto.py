"""CRYPTO: addresses of the large chains, by their check sums; a private key in wallet format is a SECRET."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auditmw.recognizers.checksums import base58, base58check, bech32, eip55
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import WORD, follows_word, precedes_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_RUN = re.compile(rb"[0-9A-Za-z]{26,}")
_HEXADECIMAL = Regex(rb"[0-9A-Fa-f]{40}")
_CONTEXT = Regex(rb"solana|\bsol\b|phantom|wallet")
VERSIONS: dict[bytes, tuple[int, str]] = {
    b"\x00": (21, "CRYPTO"),  # Bitcoin, to a key's hash
    b"\x05": (21, "CRYPTO"),  # Bitcoin, to a script's hash
    b"\x6f": (21, "CRYPTO"),  # the same in test networks
    b"\xc4": (21, "CRYPTO"),
    b"\x30": (21, "CRYPTO"),  # Litecoin
    b"\x32": (21, "CRYPTO"),
    b"\x1e": (21, "CRYPTO"),  # Dogecoin
    b"\x16": (21, "CRYPTO"),
    b"\x4c": (21, "CRYPTO"),  # Dash
    b"\x41": (21, "CRYPTO"),  # Tron
    b"\x1c\xb8": (22, "CRYPTO"),  # Zcash
    b"\x04\x88\xb2\x1e": (78, "CRYPTO"),  # an extended public key
    b"\x04\x88\xad\xe4": (78, "SECRET"),  # an extended private key
    b"\x80": (0, "SECRET"),  # a Bitcoin private key, 33 or 34 bytes
}
"""First bytes of a Base58Check payload, its length, and what it is."""

BECH32_PREFIXES = (b"bc1", b"tb1", b"ltc1", b"addr1", b"stake1", b"cosmos1", b"osmo1", b"lnbc1")
_LONGEST = 120
_MOST_KECCAK = 16


class CryptoRecognizer:
    """Looks at every long alphanumeric run once."""

    name = "crypto"
    kinds = ("CRYPTO", "SECRET")
    rules = (_RUN.pattern, _CONTEXT, sorted(VERSIONS.items()), BECH32_PREFIXES)

    def find(self, view: View) -> Iterator[Finding]:
        """Addresses with a right check sum; Ethereum's, where it has one."""
        data = view.data
        hashes = 0
        for start, end in _alphanumeric(view):
            if end - start > _LONGEST or follows_word(data, start, WORD) or precedes_word(data, end, WORD):
                continue
            value = data[start:end]
            if value[:2] in (b"0x", b"0X"):
                # Beyond a bounded number the case is not checked, and what looks like an address is taken for one.
                if end - start == 42 and _HEXADECIMAL.match(value, 2):
                    hashes += 1
                    if hashes > _MOST_KECCAK or eip55(value[2:]):
                        yield Finding("CRYPTO", *view.span(start, end))
                continue
            kind = _kind(value) or _solana(value, view.lower, start)
            if kind:
                yield Finding(kind, *view.span(start, end))


def _alphanumeric(view: View) -> Iterator[tuple[int, int]]:
    for start, end in view.runs():
        for match in _RUN.finditer(view.data, start, end):
            yield match.span()


def _kind(value: bytes) -> str | None:
    lower = value.lower()
    if lower.startswith(BECH32_PREFIXES):
        return "CRYPTO" if value in (lower, value.upper()) and bech32(lower) else None
    if not (26 <= len(value) <= 36 or len(value) in (51, 52, 111)):
        return None
    payload = base58check(value)
    if payload is None:
        return None
    for version, (length, kind) in VERSIONS.items():
        if payload.startswith(version) and (len(payload) == length or (not length and len(payload) in (33, 34))):
            return kind
    return None


def _solana(value: bytes, lower: bytes, start: int) -> str | None:
    """Solana's addresses are 32 bytes without a check sum: a word before must say so."""
    if len(value) in (43, 44) and _CONTEXT.search(lower[max(0, start - 32) : start]):
        decoded = base58(value)
        if decoded is not None and len(decoded) == 32:
            return "CRYPTO"
    return None
