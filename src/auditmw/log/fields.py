"""Strict readers of what notes, checkpoints and proofs are made of: one spelling for each value."""

from __future__ import annotations

from base64 import b64decode, b64encode

from auditmw.errors import EvidenceError

MAX_DIGITS = 19


def check_characters(text: str) -> None:
    """Raises EvidenceError where the text holds a control character other than a newline, or cannot be UTF-8."""
    if any(char < " " and char != "\n" for char in text):
        raise EvidenceError("a note holds a control character: copy it without changing its line ends")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EvidenceError("a note holds half a surrogate pair, which is not UTF-8") from None


def decode_base64(text: str) -> bytes:
    """Standard base64 in the one spelling that its bytes have; raises EvidenceError for any other."""
    try:
        data = b64decode(text)
    except ValueError:
        data = b""
    if b64encode(data).decode() != text:
        raise EvidenceError(f"{text[:80]!r} is not base64 in its one spelling")
    return data


def read_decimal(text: str) -> int:
    """A whole number in ASCII digits without leading zeros; raises EvidenceError for any other spelling."""
    digits = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if not digits or text != str(int(text)):
        raise EvidenceError(f"{text[:80]!r} is not a decimal number of at most {MAX_DIGITS} digits")
    return int(text)
