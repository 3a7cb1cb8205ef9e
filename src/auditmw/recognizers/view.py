"""A text as recognizers see it: one byte a character, with the way back to the original offsets."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from auditmw.recognizers.folding import FOLDING

if TYPE_CHECKING:
    from auditmw.recognizers.keywords import Keywords

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_DIGITS = b"0123456789"
_RUN = re.compile(rb"[0-9A-Za-z+/_-]{24,}")


class Origin:
    """Where the bytes of a view come from, as runs: a run is a copy (offsets move along) or one decoded block."""

    __slots__ = ("_ends", "_positions", "_starts")

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int | None] = []

    def copy(self, position: int, start: int) -> None:
        """From `position` in the view on, bytes are the characters from `start` on."""
        self._positions.append(position)
        self._starts.append(start)
        self._ends.append(None)

    def block(self, position: int, start: int, end: int) -> None:
        """From `position` in the view on, bytes all stand for the characters from `start` to `end`."""
        self._positions.append(position)
        self._starts.append(start)
        self._ends.append(end)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original offsets of the view's bytes from `start` to `end`, which must not be empty."""
        first = bisect_right(self._positions, start) - 1
        last = bisect_right(self._positions, end - 1) - 1
        begin = self._starts[first]
        if self._ends[first] is None:
            begin += start - self._positions[first]
        finish = self._ends[last]
        if finish is None:
            finish = self._starts[last] + end - self._positions[last]
        return begin, finish

    def decoded(self) -> list[tuple[int, int]]:
        """The original spans that were decoded, sorted."""
        return sorted({(start, end) for start, end in zip(self._starts, self._ends, strict=True) if end is not None})


class View:
    """A text folded to one byte a character, so that offsets, patterns and look-ups are the same for every script.

    `text` is the original, `data` the folded bytes and `lower` the same in lower case. Recognizers that read `data`
    take their offsets back with `span`.
    """

    __slots__ = ("_runs", "data", "has_digits", "hits", "lower", "origin", "text")

    def __init__(self, text: str, data: bytes, origin: Origin | None, keywords: Keywords) -> None:
        self.text = text
        self.data = data
        self.lower = data.lower()
        self.origin = origin
        self.has_digits = len(data.translate(None, _DIGITS)) < len(data)
        self.hits = keywords.hits(self.lower)
        """Where the keywords of each recognizer are, from left to right, by its name."""
        self._runs: list[tuple[int, int]] | None = None

    def runs(self) -> list[tuple[int, int]]:
        """Where the runs of 24 and more characters of Base64, in either alphabet, are: nearly all tokens lie in one."""
        if self._runs is None:
            self._runs = [match.span() for match in _RUN.finditer(self.data)]
        return self._runs

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The offsets in `text` of the bytes from `start` to `end` of `data`."""
        return (start, end) if self.origin is None else self.origin.span(start, end)


def fold(text: str) -> tuple[bytes, Origin | None]:
    """The text's bytes for a view, and where they come from (None: each from the character at its own offset)."""
    if text.isascii():
        return text.encode("ascii"), None
    pieces: list[str] = []
    origin = Origin()
    origin.copy(0, 0)
    done = position = 0
    shortened = False
    for found in _NOT_ASCII.finditer(text):
        start, end = found.span()
        folded = text[start:end].translate(FOLDING)
        pieces += (text[done:start], folded)
        position += start - done
        done = end
        if len(folded) == end - start:
            position += len(folded)
            continue
        shortened = True
        for offset in range(start, end):
            if FOLDING[ord(text[offset])]:
                position += 1
            else:
                origin.copy(position, offset + 1)
    pieces.append(text[done:])
    return "".join(pieces).encode("latin-1"), origin if shortened else None
