"""DATE: full dates, with a time where one follows. Off by default: most dates in a prompt are nobody's birthday."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import WORD, comes_from, goes_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_MONTH = (
    rb"(?:jan(?:uary|uar|vier|\.)?|feb(?:ruary|ruar|\.)?|mar(?:ch|\.)?|m[a\xff]rz|apr(?:il|\.)?|ma[iy]|june?|juni|july?|juli"
    rb"|aug(?:ust|\.)?|sep(?:t\.?|tember|\.)?|o[ck]t(?:ober|\.)?|nov(?:ember|\.)?|de[cz](?:ember|\.)?)"
)
_TIME = rb"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_DAY, _YEAR = rb"(?:0?[1-9]|[12][0-9]|3[01])", rb"(?:19|20)[0-9]{2}"
_NUMERIC_MONTH = rb"(?:0?[1-9]|1[0-2])"
_DATE = Regex(
    rb"(?i)"
    + rb"|".join(
        [
            _YEAR + rb"-" + _NUMERIC_MONTH + rb"-" + _DAY + _TIME,
            _YEAR + rb"[/.]" + _NUMERIC_MONTH + rb"[/.]" + _DAY + _TIME,
            _DAY + rb"[/.-]" + _NUMERIC_MONTH + rb"[/.-](?:" + _YEAR + rb"|[0-9]{2})",
            _NUMERIC_MONTH + rb"[/.-]" + _DAY + rb"[/.-](?:" + _YEAR + rb"|[0-9]{2})",
            _DAY + rb"(?:st|nd|rd|th|\.)?[ -]{1,2}(?:of )?" + _MONTH + rb",?[ -]{1,2}" + _YEAR,
            _MONTH + rb" " + _DAY + rb"(?:st|nd|rd|th)?,? " + _YEAR,
        ]
    ),
    longest=True,
)


class DateRecognizer:
    """Gated by nothing but its first digit or month name."""

    name = "date"
    kinds = ("DATE",)
    rules = (_DATE,)

    def find(self, view: View) -> Iterator[Finding]:
        """Dates with a day, a month and a year."""
        data = view.data
        for match in _DATE.finditer(data):
            start, end = match.span()
            if not comes_from(data, start, b"-./", WORD) and not goes_on(data, end, b"-/.", WORD):
                yield Finding("DATE", *view.span(start, end))
