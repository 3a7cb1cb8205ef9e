"""SECRET: tokens that carry their vendor's mark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auditmw.recognizers.entropy import entropy, is_stand_in
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.published_keys import PUBLISHED, is_published
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import ALPHANUMERIC, WORD, follows_word, precedes_word
from auditmw.recognizers.token_formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_RUN = re.compile(rb"[0-9A-Za-z_-]{24,}")
_FILE = Regex(rb"(?i)\.(?:png|gif|jpe?g|svg|ico|js|css|html?|map|woff2?)")
_TOKEN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-."
_BASE64 = _TOKEN + b"+/"
_LONGEST, _LONGEST_HEAD = 4096, 100


class MarkedTokenRecognizer:
    """Each mark found by the keyword pass is tried with its family's pattern, from the mark on or around it."""

    name = "marked token"
    kinds = ("SECRET",)
    rules = (FORMATS, _RUN.pattern, _FILE, sorted(PUBLISHED))

    def __init__(self) -> None:
        self._by_keyword: dict[bytes, list[tuple[bool, Regex, float]]] = {}
        runs = []
        for _, mark, rest, least in FORMATS:
            if mark[0] == "^":
                runs.append((_literal(mark[1:]) + f"(?:{rest})".encode(), least))
            elif mark[0] == "~":
                self._add(mark[1:], Regex(rest.encode(), longest=True), least, around=True)
            else:
                self._add(
                    mark.lower(), Regex(_literal(mark) + f"(?:{rest})".encode(), longest=True), least, around=False
                )
        self._runs = Regex(b"|".join(pattern for pattern, _ in runs), longest=True)
        self._least_of_runs = min(least for _, least in runs)
        self.keywords = tuple(self._by_keyword)

    def _add(self, keyword: str, regex: Regex, least: float, *, around: bool) -> None:
        self._by_keyword.setdefault(keyword.encode(), []).append((around, regex, least))

    def find(self, view: View) -> Iterator[Finding]:
        """Tokens that end where a word ends and look drawn at random."""
        data = view.data
        done = 0
        for keyword, start, _ in view.hits.get(self.name, ()):
            if start < done:
                continue
            for around, regex, least in self._by_keyword[keyword]:
                span = _token(data, regex, start, least, around=around)
                if span:
                    done = span[1]
                    yield Finding("SECRET", *view.span(*span))
                    break
        for start in _starts(view):
            joint = data[start - 1 : start]
            for begin in (start, _head(data, start, _TOKEN + joint)) if joint in (b".", b"|") else (start,):
                span = _at(data, self._runs, begin, self._least_of_runs)
                if span:
                    yield Finding("SECRET", *view.span(*span))
                    break


def _starts(view: View) -> Iterator[int]:
    for start, end in view.runs():
        for match in _RUN.finditer(view.data, start, end):
            yield match.start()


def _literal(mark: str) -> bytes:
    return "".join(c if c.isalnum() or c in "_-/~=" else f"\\{c}" for c in mark).encode()


def _head(data: bytes, start: int, characters: bytes) -> int:
    """Where the token that goes on at `start` begins, if it is made of these characters."""
    low = max(0, start - _LONGEST_HEAD)
    return low + len(data[low:start].rstrip(characters))


def _token(data: bytes, regex: Regex, start: int, least: float, *, around: bool) -> tuple[int, int] | None:
    if not around:
        return _at(data, regex, start, least)
    for begin in sorted({start, _head(data, start, _TOKEN), _head(data, start, _BASE64)}, reverse=True):
        span = _at(data, regex, begin, least)
        if span and span[1] > start:
            return span
    return None


def _at(data: bytes, regex: Regex, start: int, least: float) -> tuple[int, int] | None:
    if follows_word(data, start, WORD):
        return None
    match = regex.match(data, start, start + _LONGEST)
    if match is None:
        return None
    end = match.end()
    if precedes_word(data, end, ALPHANUMERIC) or (data[end : end + 1] == b"." and _FILE.match(data, end, end + 6)):
        return None
    value = data[start:end]
    if entropy(value) < least or is_stand_in(value) or is_published(value):
        return None
    return start, end
