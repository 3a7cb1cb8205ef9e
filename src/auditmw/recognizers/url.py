"""URL: anything with a scheme and ://, and www. names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import ALPHANUMERIC, follows_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_REST = rb"[^\x00-\x20\x7f\xfe<>\"'\x60{}|\\^]+"
_SCHEME = Regex(rb"[A-Za-z][A-Za-z0-9+.-]*://" + _REST)
_WWW = Regex(rb"(?i)www\.[a-z0-9\xff-]+\." + _REST)
_TRAILING = b".,;:!?*_~'"
_BRACKETS = {ord(")"): b"(", ord("]"): b"["}


class UrlRecognizer:
    """Gated by :// and www."""

    name = "url"
    kinds = ("URL",)
    gate: Final = "keyword"
    keywords = (b"://", b"www.")
    rules = (_SCHEME, _WWW, _TRAILING)

    def find(self, view: View) -> Iterator[Finding]:
        """URLs, without the punctuation of the sentence around them."""
        data = view.data
        marks = {keyword for keyword, _, _ in view.hits.get(self.name, ())}
        if b"://" in marks:
            for match in _SCHEME.finditer(data):
                start, end = match.span()
                host = data.index(b"://", start) + 3
                end = _without_trailing(data, host, end)
                if end > host and (data[host] in ALPHANUMERIC or data[host] in b"/[$%_-"):
                    yield Finding("URL", *view.span(start, end))
        if b"www." in marks:
            for match in _WWW.finditer(data):
                start, end = match.span()
                end = _without_trailing(data, start, end)
                if not follows_word(data, start) and data[start - 1 : start] not in (b"/", b"@", b".", b"-"):
                    yield Finding("URL", *view.span(start, end))


def _without_trailing(data: bytes, start: int, end: int) -> int:
    """The end before a sentence's punctuation and before brackets that were opened outside."""
    depth = {
        close: data.count(opening, start, end) - data[start:end].count(close) for close, opening in _BRACKETS.items()
    }
    while end > start:
        last = data[end - 1]
        if last in _BRACKETS and depth[last] < 0:
            depth[last] += 1
        elif last not in _TRAILING:
            break
        end -= 1
    return end
