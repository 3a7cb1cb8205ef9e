"""Whether a value looks drawn at random, or made up to be replaced."""

from __future__ import annotations

from collections import Counter
from math import log2

from auditmw.recognizers.regex import Regex

_STAND_INS = Regex(
    rb"(?i)x{4,}|\*{3,}|\.{3,}|<[^>]*>|\$\{|\{\{|\$\(|%\(|abcdefghij|abcdef123|0123456789|example\z|_here\b"
    rb"|(?:^|[^a-z])(?:your|placeholder|change_?me|redacted|dummy|insert|replace_?me|put_|not_?a_?real|enc\()"
)
_SAME_RUN = 6
_ENOUGH = 64
_TIMES_LOG = [0.0, *(count * log2(count) for count in range(1, _ENOUGH + 1))]


def entropy(value: bytes) -> float:
    """Shannon entropy in bits a byte, of the first 64 bytes."""
    sample = value[:_ENOUGH]
    return log2(len(sample)) - sum([_TIMES_LOG[count] for count in Counter(sample).values()]) / len(sample)


def is_stand_in(value: bytes) -> bool:
    """Whether the value only marks the place of a credential: xxxx, <token>, ${TOKEN}, your-key-here."""
    # A third of the value in one character: such a run covers one of the places that are its length apart.
    run = max(_SAME_RUN, len(value) // 3)
    if any(value[place : place + 1] * run in value for place in range(0, len(value), run)):
        return True
    return _STAND_INS.search(value) is not None
