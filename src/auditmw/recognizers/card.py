"""CARD: payment card numbers, by the brands' published ranges and lengths and the Luhn digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

_CANDIDATE = Regex(rb"[0-9](?:(?:[ ._-]|\r?\n){0,2}[0-9]){11,}")
_GROUP = Regex(rb"[0-9]+")
_CONTEXT = Regex(
    rb"card|credit|debit|\bpan\b|\bcc\b|\bcc[_ :=#\"']|visa|amex|maestro|diners|\bkarte|carte|tarjeta|carta|kaart|cart[a\xff]o"
)
_SHORTEST, _LONGEST = 12, 19
_MOST_GROUPS = 40
_BEFORE = 40
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


class CardRecognizer:
    """Every run of whole digit groups is tried, so that a number before a card does not hide it."""

    name = "card"
    kinds = ("CARD",)
    rules = (_CANDIDATE, _CONTEXT, BRANDS)

    def find(self, view: View) -> Iterator[Finding]:
        """Numbers of a known brand; of any brand where a word before says that it is a card."""
        data = view.data
        for match in _CANDIDATE.finditer(data):
            for start, end in _cards(data, view.lower, *match.span()):
                yield Finding("CARD", *view.span(start, end))


def _cards(data: bytes, lower: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    if _is_fraction(data, start):
        start = data.find(b" ", start, end)
        if start < 0:
            return
    groups = [match.span() for match in _GROUP.finditer(data[start:end])]
    first = 0
    while first < len(groups):
        last = _last_group(data, lower, start, groups, first)
        if last is None:
            first += 1
        else:
            yield start + groups[first][0], start + groups[last][1]
            first = last + 1


def _last_group(data: bytes, lower: bytes, base: int, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of the longest card that begins with group `first`."""
    digits = b""
    found = None
    begin = base + groups[first][0]
    for last in range(first, len(groups)):
        start, end = groups[last]
        digits += data[base + start : base + end]
        if len(digits) > _LONGEST:
            break
        if len(digits) < _SHORTEST:
            continue
        sizes = [stop - begin_ for begin_, stop in groups[first : last + 1]]
        if _plausible(sizes) and luhn(digits) and (brand(digits) or _said_to_be(lower, begin)):
            found = last
    return found


def _plausible(sizes: list[int]) -> bool:
    """Cards are written in one piece, in groups of three to eight, or digit by digit."""
    return len(sizes) == 1 or all(3 <= size <= 8 for size in sizes[:-1]) or max(sizes) == 1


def _is_fraction(data: bytes, start: int) -> bool:
    """Whether the candidate begins with the digits after a decimal point."""
    return start > 1 and data[start - 1] == 46 and data[start - 2] in DIGITS


def _said_to_be(lower: bytes, start: int) -> bool:
    return bool(_CONTEXT.search(lower[max(0, start - _BEFORE) : start]))


def brand(digits: bytes) -> str | None:
    """The brand whose ranges and lengths this number fits."""
    number = digits.decode("ascii")
    for name, first, last, lengths in BRANDS:
        if len(number) in lengths and first <= number[: len(first)] <= last:
            return name
    return None


def luhn(digits: bytes) -> bool:
    """Whether the last digit is the right check digit, and the number is not one digit repeated."""
    total = sum(digit - 48 for digit in digits[-1::-2]) + sum(_DOUBLED[digit - 48] for digit in digits[-2::-2])
    return total % 10 == 0 and len(set(digits)) > 1
