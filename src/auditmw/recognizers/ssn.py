"""SSN: United States social security numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import WORD, comes_from, goes_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_NUMBER = Regex(rb"[0-9]{3}(?:[ .-]?[0-9]{2}[ .-]?|[ .-]{2}[0-9]{2}[ .-]{2})[0-9]{4}")
_WORDS = rb"(?:\bssns?\b|_ssn|ssn_|\bss ?#|\bss no|social|\bsoc\.? ?sec|taxpayer|\bitin\b|\btin\b)"
_BEFORE = Regex(_WORDS + rb"[^0-9]{0,28}\z")
_AFTER = Regex(rb"[^0-9\n.;]{1,16}" + _WORDS)
_WINDOW = 48


class SsnRecognizer:
    """A dashed number is enough; any other writing needs a word nearby that says what it is."""

    name = "ssn"
    kinds = ("SSN",)
    gate: Final = "digit"
    rules = (_NUMBER, _BEFORE, _AFTER)

    def find(self, view: View) -> Iterator[Finding]:
        """Numbers with a possible area, group and serial."""
        data = view.data
        for match in _NUMBER.finditer(data):
            start, end = match.span()
            if comes_from(data, start, b"-.", WORD) or goes_on(data, end, b"-", WORD):
                continue
            digits = data[start:end].translate(None, b" .-")
            area, group, serial = digits[:3], digits[3:5], digits[5:]
            if area in (b"000", b"666") or group == b"00" or serial == b"0000":
                continue
            dashed = end - start == 11 and data[start + 3] == data[start + 6] == 45
            if (
                (dashed and area < b"900")
                or _BEFORE.search(view.lower[max(0, start - _WINDOW) : start])
                or (end - start > 9 and _AFTER.match(view.lower, end, end + _WINDOW))
            ):
                yield Finding("SSN", *view.span(start, end))
