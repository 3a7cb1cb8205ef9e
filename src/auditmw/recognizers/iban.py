"""IBAN: account numbers by the registry's structure for each country, with both check digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import WORD, follows_word, precedes_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

STRUCTURES: dict[str, str] = {
    "AD": "8n12c", "AE": "19n", "AL": "8n16c", "AT": "16n", "AZ": "4a20c", "BA": "16n", "BE": "12n", "BG": "4a6n8c",
    "BH": "4a14c", "BI": "23n", "BR": "23n1a1c", "BY": "4c4n16c", "CH": "5n12c", "CR": "18n", "CY": "8n16c",
    "CZ": "20n", "DE": "18n", "DJ": "23n", "DK": "14n", "DO": "4c20n", "EE": "16n", "EG": "25n", "ES": "20n",
    "FI": "14n", "FK": "2a12n", "FO": "14n", "FR": "10n11c2n", "GB": "4a14n", "GE": "2a16n", "GI": "4a15c",
    "GL": "14n", "GR": "7n16c", "GT": "24c", "HN": "4a20n", "HR": "17n", "HU": "24n", "IE": "4a14n", "IL": "19n",
    "IQ": "4a15n", "IS": "22n", "IT": "1a10n12c", "JO": "4a4n18c", "KW": "4a22c", "KZ": "3n13c", "LB": "4n20c",
    "LC": "4a24c", "LI": "5n12c", "LT": "16n", "LU": "3n13c", "LV": "4a13c", "LY": "21n", "MC": "10n11c2n",
    "MD": "20c", "ME": "18n", "MK": "3n10c2n", "MN": "16n", "MR": "23n", "MT": "4a5n18c", "MU": "4a19n3a",
    "NI": "4a20n", "NL": "4a10n", "NO": "11n", "OM": "3n16c", "PK": "4a16c", "PL": "24n", "PS": "4a21c", "PT": "21n",
    "QA": "4a21c", "RO": "4a16c", "RS": "18n", "RU": "14n15c", "SA": "2n18c", "SC": "4a20n3a", "SD": "14n",
    "SE": "20n", "SI": "15n", "SK": "20n", "SM": "1a10n12c", "SO": "19n", "ST": "21n", "SV": "4a20n", "TL": "19n",
    "TN": "20n", "TR": "6n16c", "UA": "6n19c", "VA": "18n", "VG": "4a16n", "XK": "16n", "YE": "4a4n18c",
}  # fmt: skip
"""The registry's structure after the check digits: n digits, a letters, c either."""

_CLASSES = {"n": rb"[0-9]", "a": rb"[A-Z]", "c": rb"[0-9A-Z]"}
_HEAD = Regex(rb"(?i)(?:" + "|".join(STRUCTURES).encode() + rb")[ ._-]?[0-9]{2}[ ._-]{0,2}[0-9A-Z]{2}")
_SEPARATORS = b" ._-"
_LONGEST = 34


def _part(structure: str) -> bytes:
    pattern, count = b"", ""
    for character in structure:
        if character.isdigit():
            count += character
        else:
            pattern += _CLASSES[character] + b"{" + count.encode() + b"}"
            count = ""
    return pattern


def _length(structure: str) -> int:
    return 4 + sum(int(count) for count in structure.replace("a", " ").replace("c", " ").replace("n", " ").split())


_BY_COUNTRY = {country.encode(): (_length(s), Regex(_part(s))) for country, s in STRUCTURES.items()}


class IbanRecognizer:
    """In groups, in one piece, in either case."""

    name = "iban"
    kinds = ("IBAN",)
    gate: Final = "digit"
    rules = (_HEAD, sorted(STRUCTURES.items()))

    def find(self, view: View) -> Iterator[Finding]:
        """Numbers with the country's length and structure and the right remainder."""
        data = view.data
        done = 0
        for match in _HEAD.finditer(data):
            start = match.start()
            if start < done or follows_word(data, start, WORD):
                continue
            end = _end(data, start)
            if end and not precedes_word(data, end, WORD):
                done = end
                yield Finding("IBAN", *view.span(start, end))


def _end(data: bytes, start: int) -> int:
    """The end of the IBAN that begins at `start`, or 0."""
    length, structure = _BY_COUNTRY[data[start : start + 2].upper()]
    taken = data[start : start + 2 * _LONGEST]
    value = taken.translate(None, _SEPARATORS)[:length].upper()
    if len(value) < length or not structure.fullmatch(value[4:]) or remainder(value) != 1:
        return 0
    end = start
    for _ in range(length):
        while data[end] in _SEPARATORS:
            end += 1
        end += 1
    return end


def remainder(value: bytes) -> int:
    """The number's remainder modulo 97 by ISO 7064; a right IBAN has 1."""
    return int("".join(str(int(chr(byte), 36)) for byte in value[4:] + value[:4])) % 97
