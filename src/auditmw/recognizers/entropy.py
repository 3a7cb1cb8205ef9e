"""Whether a value looks drawn at random, or made up to be replaced."""

from __future__ import annotations

from collections import Counter
from math import log2

from auditmw.recognizers.regex import Regex

_STAND_INS = Regex(
    rb"(?i)x{4,}|\*{3,}|\.{3,}|<[^>]*>|\$\{|\{\{|\$\(|%\(|abcdefgh|your|placeholder|change_?me|redacted|dummy|not_?a_?real|_here\b"
    rb"|insert|replace_?me|put_"
)
_SAME_RUN = 6


def entropy(value: bytes) -> float:
    """Shannon entropy in bits a byte."""
    size = len(value)
    return -sum(count / size * log2(count / size) for count in Counter(value).values())


def is_stand_in(value: bytes) -> bool:
    """Whether the value only marks the place of a credential: xxxx, <token>, ${TOKEN}, your-key-here."""
    if _STAND_INS.search(value):
        return True
    return any(bytes([byte]) * _SAME_RUN in value for byte in set(value) if value.count(byte) >= _SAME_RUN)
