"""How characters outside ASCII are read: each becomes one ASCII character, one of two stand-ins, or nothing.

Full-width and mathematical letters, digits of every script, accents, look-alikes, exotic spaces, dashes and quotes
become what a reader sees in them; what nobody sees (zero-width, soft hyphens, combining marks, tags) is left out.
"""

# ruff: noqa: RUF001  (look-alikes are what this file is about)

from __future__ import annotations

import unicodedata

LETTER = "\xff"
"""Stands for a letter that has no ASCII reading; it is part of a word."""

OTHER = "\xfe"
"""Stands for every other character, and for letters of scripts that are written without spaces; it ends a word."""

_LOOK_ALIKES = {
    **dict(zip("АВЕЅІЈКМНОРСТХУаеѕіјкорсухһԁԛԝ", "ABESIJKMHOPCTXYaesijkopcyxhdqw", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανικρυ", "ABEZHIKMNOPTYXoavikpu", strict=True)),
    "ı": "i",
    "ɡ": "g",
    "ℓ": "l",
    "−": "-",
    "⁃": "-",
    "。": ".",
    "｡": ".",
    "․": ".",
    "٫": ".",
    "۔": ".",
    "⁄": "/",
    "∕": "/",
    "∶": ":",
    "։": ":",
    "‘": "'",
    "’": "'",
    "‚": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "ʼ": "'",
    "˗": "-",
    "﹫": "@",
}
_INVISIBLE_LETTERS = "\u115f\u1160\u3164\uffa0\u2800"
_LETTERLESS = ((0x0E00, 0x109F), (0x1780, 0x17FF), (0x2E80, 0xD7FF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_BY_CATEGORY = {"Pd": "-", "Zs": " ", "Zl": "\n", "Zp": "\n", "Mc": LETTER, "Cf": "", "Mn": "", "Me": ""}


def read(code: int) -> str:
    """The one character that stands for this one in a view, or "" if it is not to be seen."""
    character = chr(code)
    if character in _LOOK_ALIKES:
        return _LOOK_ALIKES[character]
    if character in _INVISIBLE_LETTERS:
        return ""
    category = unicodedata.category(character)
    if category in _BY_CATEGORY:
        return _BY_CATEGORY[category]
    if category == "Nd":
        return str(unicodedata.decimal(character))
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if unicodedata.category(c) != "Mn")
    if len(plain) == 1:
        if plain.isascii():
            return plain
        if plain != character:
            return read(ord(plain))
    if category[0] == "L" and not any(first <= code <= last for first, last in _LETTERLESS):
        return LETTER
    return OTHER


class Folding(dict[int, str]):
    """A table for `str.translate` that fills itself; at most one short string for each character of Unicode."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = read(code)
        return folded


FOLDING = Folding()
