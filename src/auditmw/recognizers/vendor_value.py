"""SECRET: values without a mark, that a vendor's name announces."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from auditmw.recognizers.entropy import entropy, is_stand_in
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import LETTERS
from auditmw.recognizers.vendor_shapes import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_ASSIGNMENT = Regex(rb"[0-9A-Za-z_ .\t-]{0,40}[\s'\"\])]{0,3}(?::{0,3}=|=>|:=|\|\||\?=|>|:|,|=)[\x60'\"\s=(\\]{0,5}")
_VALUE = re.compile(rb"[^\s'\"\x60;,<>()\[\]{}]{14,100}")
_UUID = Regex(rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class VendorValueRecognizer:
    """A value that has the shape its vendor publishes, assigned to a name with the vendor's name in it."""

    name = "vendor value"
    kinds = ("SECRET",)
    gate: Final = "keyword"
    rules = (VENDORS, _ASSIGNMENT, _VALUE.pattern)

    def __init__(self) -> None:
        self._shapes = {word.encode(): shapes for _, words, shapes in VENDORS for word in words}
        self.keywords = tuple(self._shapes)

    def find(self, view: View) -> Iterator[Finding]:
        """Values, without their quotes."""
        data = view.data
        for keyword, start, end in view.hits.get(self.name, ()):
            if not _begins_a_word(data, start):
                continue
            assignment = _ASSIGNMENT.match(data, end, end + 60)
            if assignment is None:
                continue
            match = _VALUE.match(data, assignment.end(), assignment.end() + 110)
            if match is None:
                continue
            value = match.group().rstrip(b".\\")
            if any(_fits(value, *shape) for shape in self._shapes[keyword]) and not is_stand_in(value):
                yield Finding("SECRET", *view.span(match.start(), match.start() + len(value)))


def _begins_a_word(data: bytes, start: int) -> bool:
    """Whether the vendor's name is a word or a camel's hump: no letter before it, or a small one before a capital."""
    if start == 0 or data[start - 1] not in LETTERS:
        return True
    first, before = data[start], data[start - 1]
    return 65 <= first <= 90 and 97 <= before <= 122


@cache
def _shape(characters: str) -> Regex:
    return Regex(b"(?i)[" + characters.encode() + b"]+")


def _fits(value: bytes, characters: str, least: int, most: int) -> bool:
    if not least <= len(value) <= most:
        return False
    if characters == "uuid":
        return _UUID.fullmatch(value) is not None
    if not _shape(characters).fullmatch(value) or entropy(value) < 2.0:
        return False
    return not value.isalpha()
