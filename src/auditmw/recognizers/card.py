"""CARD: payment card numbers, by the brands' published ranges and lengths and the Luhn digit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

BRANDS: tuple[tuple[str, str, str, tuple[int, ...]], ...] = (
    ("visa", "4", "4", (13, 16, 19)),
    ("mastercard", "51", "55", (16,)),
    ("mastercard", "2221", "2720", (16,)),
    ("american express", "34", "34", (15,)),
    ("american express", "37", "37", (15,)),
    ("discover", "6011", "6011", (16, 17, 18, 19)),
    ("discover", "644", "659", (16, 17, 18, 19)),
    ("unionpay", "62", "62", (16, 17, 18, 19)),
    ("unionpay", "81", "81", (16, 17, 18, 19)),
    ("jcb", "3528", "3589", (16, 17, 18, 19)),
    ("jcb", "1800", "1800", (15,)),
    ("jcb", "2131", "2131", (15,)),
    ("diners club", "300", "305", (14, 16, 19)),
    ("diners club", "3095", "3095", (14, 16, 19)),
    ("diners club", "36", "36", (14, 16, 19)),
    ("diners club", "38", "39", (14, 16, 19)),
    ("maestro", "5018", "5018", (16, 17, 18, 19)),
    ("maestro", "5020", "5020", (16, 17, 18, 19)),
    ("maestro", "5038", "5038", (16, 17, 18, 19)),
    ("maestro", "5893", "5893", (16, 17, 18, 19)),
    ("maestro", "6304", "6304", (16, 17, 18, 19)),
    ("maestro", "6390", "6390", (16, 17, 18, 19)),
    ("maestro", "6759", "6763", (16, 17, 18, 19)),
    ("dankort", "5019", "5019", (16,)),
    ("mir", "2200", "2204", (16, 17, 18, 19)),
    ("rupay", "508", "508", (16,)),
    ("rupay", "60", "60", (16,)),
    ("rupay", "82", "82", (16,)),
    ("verve", "506099", "506198", (16, 18, 19)),
    ("troy", "9792", "9792", (16,)),
    ("elo", "5067", "5067", (16,)),
    ("elo", "6363", "6363", (16,)),
    ("uzcard", "8600", "8600", (16,)),
    ("instapayment", "637", "639", (16,)),
)
"""Brand, first and last prefix of a range, lengths."""

_BY_DIGIT = {digit: tuple(row for row in BRANDS if row[1][0] <= digit <= row[2][0]) for digit in "0123456789"}
_CANDIDATE = Regex(rb"[0-9](?:(?:[ ._-]|\r?\n){0,2}[0-9]){11,}")
_GROUP = re.compile(rb"[0-9]+")
_CONTEXT = Regex(
    rb"card|credit|debit|\bpan\b|\bcc\b|\bcc[_ :=#\"']|visa|amex|maestro|diners"
    rb"|\bkarte|carte|tarjeta|carta|kaart|cart[a\xff]o"
)
_SHORTEST, _LONGEST = 12, 19
_GROUPS = frozenset({4, 8})
_FIRST_GROUPS = _GROUPS | frozenset(range(_SHORTEST, _LONGEST + 1))
_IN_THREE = frozenset({(4, 6, 4), (4, 6, 5)})
_BEFORE = 40
_DOUBLED = bytes((2 * (byte - 48) // 10 + 2 * (byte - 48) % 10) % 256 if 48 <= byte <= 57 else 0 for byte in range(256))


class CardRecognizer:
    """Every run of whole digit groups is tried, so that a number before a card does not hide it."""

    name = "card"
    kinds = ("CARD",)
    gate: Final = "digit"
    rules = (_CANDIDATE, _CONTEXT, BRANDS)

    def find(self, view: View) -> Iterator[Finding]:
        """Numbers of a known brand; of any brand where a word before says that it is a card."""
        data = view.data
        for match in _CANDIDATE.finditer(data):
            start, end = match.span()
            for span in _cards(data, view.lower, start, end):
                yield Finding("CARD", *view.span(*span))


def _cards(data: bytes, lower: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cards of whole groups: in one piece, in groups of four, as Amex and Diners Club group them, or digit by digit."""
    groups = [match.span() for match in _GROUP.finditer(data, start, end)]
    first = 0
    while first < len(groups):
        begin, stop = groups[first]
        if stop - begin == 1:
            after = first + 1
            while after < len(groups) and groups[after][1] - groups[after][0] == 1:
                after += 1
            digits = b"".join(data[at : at + 1] for at, _ in groups[first : min(after, first + _LONGEST + 1)])
            if after - first <= _LONGEST and _is_card(lower, begin, digits):
                yield begin, groups[after - 1][1]
            first = after
            continue
        if stop - begin in _FIRST_GROUPS:
            last = _last_group(data, lower, groups, first)
            if last is not None:
                yield begin, groups[last][1]
                first = last
        first += 1


def _last_group(data: bytes, lower: bytes, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of the longest card that begins with group `first`; a card's last group may be of any size."""
    begin = groups[first][0]
    if begin > 1 and data[begin - 1] == 46 and data[begin - 2] in DIGITS:
        return None  # the digits after a decimal point
    digits = b""
    found = None
    sizes: tuple[int, ...] = ()
    for last in range(first, len(groups)):
        start, end = groups[last]
        digits += data[start:end]
        if len(digits) > _LONGEST:
            break
        plain = _GROUPS.issuperset(sizes)
        sizes += (end - start,)
        if (plain or sizes in _IN_THREE) and _is_card(lower, begin, digits):
            found = last
        if not plain and len(sizes) > 2:
            break
    return found


def _is_card(lower: bytes, start: int, digits: bytes) -> bool:
    if len(digits) < _SHORTEST or not luhn(digits):
        return False
    return brand(digits) is not None or _CONTEXT.search(lower[max(0, start - _BEFORE) : start]) is not None


def brand(digits: bytes) -> str | None:
    """The brand whose ranges and lengths this number fits."""
    number = digits.decode("ascii")
    for name, first, last, lengths in _BY_DIGIT[number[0]]:
        if len(number) in lengths and first <= number[: len(first)] <= last:
            return name
    return None


def luhn(digits: bytes) -> bool:
    """Whether the last digit is the right check digit, and the number is not one digit repeated."""
    plain = digits[-1::-2]
    total = sum(plain) - 48 * len(plain) + sum(digits[-2::-2].translate(_DOUBLED))
    return total % 10 == 0 and len(set(digits)) > 1
