"""PASSPORT: passport numbers beside a word for passport, in many languages, and the machine-readable zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import WORD, follows_word, precedes_word
from auditmw.recognizers.view import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

WORDS = (
    "passport", "passeport", "pasaporte", "passaporte", "passaporto", "reisepass", "pasaport", "paspoort", "paszport",
    "passnummer", "pass-nr", "passnr", "pasnummer", "cestovní pas", "passinumero", "útlevél", "diabatir", "паспорт",
    "διαβατήρι",
)  # fmt: skip
_NUMBER = Regex(rb"[A-Za-z]{0,3}[0-9][0-9A-Za-z]{5,9}|[A-Za-z]{1,2}[A-Za-z0-9]{6,8}")
_GERMAN = Regex(rb"(?:[ .:#-]|nr|nummer|no|number|lautet|ist|is){0,6}([CFGHJK][CFGHJKLMNPRTVWXYZ0-9]{8})")
_AND = Regex(rb"(?: ?, ?| and | und | et | y | e | & |/)")
_MRZ = Regex(
    rb"P[A-Z<][A-Z]{3}[A-Z<]{39}(?:\s{1,2}[A-Z0-9<]{9}[0-9][A-Z]{3}[0-9]{7}[A-Z<][0-9]{7}[A-Z0-9<]{14}[0-9<][0-9])?"
)
_AFTER, _BEFORE = 56, 48


class PassportRecognizer:
    """A number alone says nothing: a word for passport must stand before it, or soon after."""

    name = "passport"
    kinds = ("PASSPORT",)
    gate: Final = "keyword"
    keywords = (*(fold(word.lower())[0].lower() for word in WORDS), b"p<")
    rules = (keywords, _NUMBER, _GERMAN, _AND, _MRZ)

    def find(self, view: View) -> Iterator[Finding]:
        """Numbers after the word, those that "and" joins to them, else a number before it."""
        data = view.data
        for keyword, start, end in view.hits.get(self.name, ()):
            if keyword == b"p<":
                match = _MRZ.match(data, start, start + 100)
                if match:
                    yield Finding("PASSPORT", *view.span(*match.span()))
                continue
            number = _after(data, end) or _before(data, start)
            while number is not None:
                yield Finding("PASSPORT", *view.span(*number))
                joint = _AND.match(data, number[1], number[1] + 5)
                number = _at(data, joint.end()) if joint else None


def _is_number(data: bytes, start: int, end: int) -> bool:
    """Six to ten characters: mostly digits, or capitals with two digits at least."""
    if not 6 <= end - start <= 11 or follows_word(data, start, WORD) or precedes_word(data, end, WORD):
        return False
    value = data[start:end]
    digits = len(value) - len(value.translate(None, b"0123456789"))
    return digits >= 5 or (digits >= 2 and value.isupper() and end - start >= 8)


def _first(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    while True:
        match = _NUMBER.search(data, start, end)
        if match is None:
            return None
        if _is_number(data, *match.span()):
            span: tuple[int, int] = match.span()
            return span
        start = match.end()


def _after(data: bytes, end: int) -> tuple[int, int] | None:
    german = _GERMAN.match(data, end, end + _AFTER)
    if german and not precedes_word(data, german.end(), WORD):
        span: tuple[int, int] = german.span(1)
        return span
    return _first(data, end, min(len(data), end + _AFTER))


def _before(data: bytes, end: int) -> tuple[int, int] | None:
    """The last number before the word, in the same sentence."""
    start = max(0, end - _BEFORE)
    start = max(start, *(data.rfind(stop, start, end) + 1 for stop in (b"\n", b".", b",", b":", b";")))
    found = None
    while (span := _first(data, start, end)) is not None:
        found, start = span, span[1]
    return found


def _at(data: bytes, start: int) -> tuple[int, int] | None:
    match = _NUMBER.match(data, start, start + 12)
    return match.span() if match and _is_number(data, *match.span()) else None
