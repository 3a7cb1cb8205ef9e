"""RE2 patterns, compiled at first use: linear in the text whatever the pattern, and nothing to pay at import.

Only runs of one character class, which no engine can stumble over, are left to the standard library: it is quicker to
call.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()


class Regex:
    """A pattern over the bytes of a view (Latin-1: one byte is one character)."""

    __slots__ = ("_compiled", "longest", "source")

    def __init__(self, source: bytes, *, longest: bool = False) -> None:
        """`longest`: of several alternatives the longest match wins, not the first."""
        self.source = source
        self.longest = longest
        self._compiled: Any = None

    def __repr__(self) -> str:
        return f"Regex({self.source!r})"

    def _compile(self) -> Any:
        import re2

        with _lock:
            if self._compiled is None:
                options = re2.Options()
                options.encoding = re2.Options.Encoding.LATIN1
                options.longest_match = self.longest
                self._compiled = re2.compile(self.source, options)
        return self._compiled

    def finditer(self, data: bytes, start: int = 0, end: int | None = None) -> Iterator[Any]:
        """All matches in `data[start:end]` that do not overlap, from left to right."""
        found: Iterator[Any] = (self._compiled or self._compile()).finditer(data, start, end)
        return found

    def search(self, data: bytes, start: int = 0, end: int | None = None) -> Any:
        """The first match in `data[start:end]`, or None."""
        return (self._compiled or self._compile()).search(data, start, end)

    def match(self, data: bytes, start: int = 0, end: int | None = None) -> Any:
        """The match that begins at `start`, or None. The text's other side of `start` and `end` is not seen."""
        return (self._compiled or self._compile()).match(data, start, end)

    def fullmatch(self, data: bytes) -> Any:
        """The match of all of `data`, or None."""
        return (self._compiled or self._compile()).fullmatch(data)
