"""PHONE: international numbers, North American ones, and any writing beside a word that announces a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import ALPHANUMERIC, comes_from, follows_word, precedes_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_CANDIDATE = Regex(rb"[+(]?[0-9](?:(?:[ \t]{1,2}|[./-]| ?\(|\)[ ./-]?| [-/] )?[0-9]){5,}")
_EXTENSION = Regex(rb"(?i) ?(?:x|ext\.?|extension|durchwahl|#) ?[0-9]{1,5}")
_NORTH_AMERICAN = Regex(rb"(?:(?:001|1)[ .-])?(?:\([2-9][0-9]{2}\)[ .-]?|[2-9][0-9]{2}[.-])[0-9]{3}[ .-][0-9]{4}")
_INTERNATIONAL = Regex(rb"00 ?[1-9][0-9]* ")
_BEFORE_WORDS = Regex(
    rb"(?:phone|fone|\btele?\b|mobile?|m[o\xff]vil|cell|handy|celular|\bfax|\bcall|whatsapp|\bsms\b|\bdial|\bring\b|\breach"
    rb"|answering|hotline|helpline|pager|callback|registered|messages? to|contact|\btext(?: me)?\b"
    rb"|numm?er|rufnr|telefon|anruf|portable|appel|llam|t\xffl|\btlf|\bph\b)[^0-9]{0,24}\z"
    rb"|(?:desk|office|home|work)[: \n]{1,3}\z"
)
_AFTER_WORDS = Regex(rb"[ \t(-]{1,2}(?:office|fax|mobile|cell|desk|home|work)(?:[^a-z0-9:=\"]|\z)")
_OTHER_NUMBER = Regex(
    rb"(?:order|invoice|ticket|account|zip|postal|iban|ssn|isbn|passport|card|serial|version|section|\bid\b|\bpin\b|code|\$|\xff\$)"
    rb"[^0-9]{0,14}\z"
)
_DATE = Regex(rb"[0-9]{1,2}([./-])[0-9]{1,2}[./-](?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}[./-][0-9]{1,2}[./-][0-9]{1,2}.*")
_WINDOW = 44
_FEWEST, _MOST = 7, 15
_NORTH_AMERICAN_DIGITS = 10
_MOST_PARSED = 100
_PLUS, _SPACE = ord("+"), ord(" ")
_SEPARATORS = b" ./\t-"


class PhoneRecognizer:
    """International numbers are read by `phonenumbers`, up to a bounded number of them; then the shape is enough."""

    name = "phone"
    kinds = ("PHONE",)
    gate: Final = "digit"
    rules = (_CANDIDATE, _EXTENSION, _NORTH_AMERICAN, _INTERNATIONAL, _BEFORE_WORDS, _AFTER_WORDS, _OTHER_NUMBER, _DATE)

    def find(self, view: View) -> Iterator[Finding]:
        """Numbers of seven to fifteen digits, with their extension."""
        data = view.data
        parsed = 0
        for match in _CANDIDATE.finditer(data):
            start, last = match.span()
            if data[start] != _PLUS and _is_inner(data, start):
                continue
            while start < last:
                if data[start] == _PLUS:
                    parsed += 1
                    end = _international(data, start, last, check=parsed <= _MOST_PARSED)
                elif precedes_word(data, last) and not (
                    data[last] in b"xXeE" and _EXTENSION.match(data, last, last + 16)
                ):
                    break
                else:
                    end = _national(data, view.lower, start, last)
                if not end:
                    break
                extension = _EXTENSION.match(data, end, end + 16)
                yield Finding("PHONE", *view.span(start, extension.end() if extension else end))
                start = end + len(data[end:last]) - len(data[end:last].lstrip(_SEPARATORS))


def _is_inner(data: bytes, start: int) -> bool:
    return comes_from(data, start, b".:#/=-", ALPHANUMERIC) if data[start] != 40 else False


def _international(data: bytes, start: int, end: int, *, check: bool) -> int:
    """The end of the number that begins with a plus, without groups that are too many, or 0."""
    if follows_word(data, start):
        return 0
    while True:
        digits = _digits(data, start, end)
        if len(digits) < _FEWEST:
            return 0
        if len(digits) <= _MOST and (not check or _is_possible(data[start:end])):
            return end
        shorter = max(data.rfind(separator, start, end) for separator in (b" ", b"-", b".", b"/"))
        if shorter < 0:
            return 0
        end = start + len(data[start:shorter].rstrip(b" -./("))


def _is_possible(number: bytes) -> bool:
    import phonenumbers

    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(number.decode("ascii"), None)))
    except phonenumbers.NumberParseException:
        return False


def _national(data: bytes, lower: bytes, start: int, end: int) -> int:
    """The end of a number without a plus, or 0."""
    digits = _digits(data, start, end)
    if len(digits) < _FEWEST:
        return 0
    before = lower[max(0, start - _WINDOW) : start]
    if len(digits) >= _NORTH_AMERICAN_DIGITS:
        american = _NORTH_AMERICAN.match(data, start, end)
        if american and (american.end() == end or data[american.end()] == _SPACE) and not _OTHER_NUMBER.search(before):
            return int(american.end())
    if len(digits) > _MOST:
        return 0
    if digits.startswith(b"00") and _INTERNATIONAL.match(data, start, end) and _is_possible(b"+" + digits[2:]):
        return end
    announced = _BEFORE_WORDS.search(before)
    if (announced is None and not _AFTER_WORDS.match(lower, end, end + 12)) or _DATE.fullmatch(data[start:end]):
        return 0
    other = _OTHER_NUMBER.search(before)
    return end if other is None or (announced and other.start() < announced.start()) else 0


def _digits(data: bytes, start: int, end: int) -> bytes:
    return data[start:end].translate(None, _SEPARATORS + b"()+")
