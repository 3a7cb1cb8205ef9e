"""What stands around a candidate: the checks that RE2, which has no look-around, leaves to its users."""

from __future__ import annotations

DIGITS = frozenset(b"0123456789")
LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\xff")
ALPHANUMERIC = LETTERS | DIGITS
WORD = ALPHANUMERIC | frozenset(b"_")


def follows_word(data: bytes, start: int, word: frozenset[int] = WORD) -> bool:
    r"""Whether the character before `start` belongs to a word; the n of an escaped \n does not."""
    if start == 0 or data[start - 1] not in word:
        return False
    return data[start - 2 : start] not in (rb"\n", rb"\r", rb"\t")


def precedes_word(data: bytes, end: int, word: frozenset[int] = WORD) -> bool:
    """Whether the character at `end` belongs to a word."""
    return end < len(data) and data[end] in word


def goes_on(data: bytes, end: int, joiners: bytes, word: frozenset[int] = ALPHANUMERIC) -> bool:
    """Whether the candidate is part of something longer: a word character follows, at once or after one joiner."""
    if end >= len(data):
        return False
    return data[end] in word or (data[end] in joiners and end + 1 < len(data) and data[end + 1] in word)


def comes_from(data: bytes, start: int, joiners: bytes, word: frozenset[int] = ALPHANUMERIC) -> bool:
    """The same on the left side."""
    if follows_word(data, start, word):
        return True
    return start > 1 and data[start - 1] in joiners and data[start - 2] in word
