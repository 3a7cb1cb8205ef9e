"""Whether a value looks drawn at random, or made up to be replaced."""

from __future__ import annotations

import re
from math import log2

from auditmw.recognizers.regex import Regex

_STAND_INS = Regex(
    rb"(?i)x{4,}|\*{3,}|\.{3,}|<[^>]*>|\$\{|\{\{|\$\(|%\(|abcdefghij|abcdef123|0123456789|example\z|(?:^|[^a-z])(?:your|placeholder|change_?me"
    rb"|redacted|dummy|insert|replace_?me|put_|not_?a_?real|enc\()|_here\b"
)
_SAME = re.compile(rb"(.)\1{5,}", re.DOTALL)


def entropy(value: bytes) -> float:
    """Shannon entropy in bits a byte."""
    size = len(value)
    return log2(size) - sum(count * log2(count) for count in map(value.count, set(value))) / size


def is_stand_in(value: bytes) -> bool:
    """Whether the value only marks the place of a credential: xxxx, <token>, ${TOKEN}, your-key-here."""
    run = _SAME.search(value)
    if run is not None and 3 * (run.end() - run.start()) >= len(value):
        return True
    return _STAND_INS.search(value) is not None
