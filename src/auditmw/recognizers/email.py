"""EMAIL: addresses, also with plus tags, international domains, quoted local parts and spaces around the @."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import ALPHANUMERIC, LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_LOCAL = rb"[A-Za-z0-9.!#$%&'*+/?^_{|}~\xff-]+"
_DOMAIN = rb"[A-Za-z0-9\xff-]+(?:\.[A-Za-z0-9\xff-]+)+"
_ADDRESS = Regex(_LOCAL + rb"@" + _DOMAIN)
_QUOTED = Regex(rb'"[^"\x00-\x1f]+"@' + _DOMAIN)
_SPACED = Regex(_LOCAL + rb"(?: {1,2}@ {0,2}|@ {1,2})" + _DOMAIN)
_TOP_LEVEL = Regex(rb"(?:[Xx][Nn]--[A-Za-z0-9-]+|[A-Za-z\xff]{2,24})")
_COMMON = frozenset(b"com org net edu gov io co uk de fr it es nl pl eu info ch at be se us ca au jp br in ru".split())
_LONGEST_LOCAL = 64
_NOBODY = frozenset({b"git"})


class EmailRecognizer:
    """Gated by a single @; linear whatever follows it."""

    name = "email"
    kinds = ("EMAIL",)
    rules = (_ADDRESS, _QUOTED, _SPACED, _TOP_LEVEL, sorted(_COMMON), sorted(_NOBODY))

    def find(self, view: View) -> Iterator[Finding]:
        """Addresses, without the punctuation around them."""
        data = view.data
        if b"@" not in data:
            return
        for match in _ADDRESS.finditer(data):
            span = _trim(data, *match.span())
            if span:
                yield Finding("EMAIL", *view.span(*span))
        if b'"@' in data:
            for match in _QUOTED.finditer(data):
                span = _ends(data, *match.span())
                if span:
                    yield Finding("EMAIL", *view.span(*span))
        if b" @" in data or b"@ " in data:
            for match in _SPACED.finditer(data):
                span = _trim(data, *match.span())
                if span and data[span[0] : span[1]].rsplit(b".", 1)[-1].lower() in _COMMON:
                    yield Finding("EMAIL", *view.span(*span))


def _trim(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """The address inside what the pattern took, or None if it has no local part or no top-level domain."""
    at = data.index(b"@", start)
    local = data[start:at].rstrip(b" ")
    start = max(start, start + len(local) - _LONGEST_LOCAL)
    while start < at and data[start] not in ALPHANUMERIC and data[start] not in b"_+":
        start += 1
    if start == at or data[start:at] in _NOBODY:
        return None
    return _ends(data, start, end)


def _ends(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """The span up to the end of the top-level domain: letters, so that `package@1.2.3` is no address."""
    while True:
        dot = data.rfind(b".", start, end)
        if dot < 0 or dot < data.index(b"@", start):
            return None
        match = _TOP_LEVEL.match(data, dot + 1, end)
        if match:
            return start, match.end()
        if dot + 1 < end and data[dot + 1] in LETTERS:
            return None
        end = dot
