"""One pass of Aho-Corasick over a text says which recognizers have anything to look at."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


Hit: TypeAlias = tuple[bytes, int, int]
"""A keyword in a view, and where it is."""


class Keywords:
    """The keywords (in lower case) of all recognizers that have some, by the recognizer's name."""

    def __init__(self, by_owner: Mapping[str, tuple[bytes, ...]]) -> None:
        self._lock = threading.Lock()
        self._automaton: Any = None
        owners: dict[bytes, list[str]] = {}
        for owner, keywords in by_owner.items():
            for keyword in keywords:
                owners.setdefault(keyword, []).append(owner)
        self._keywords = list(owners.items())

    def _build(self) -> Any:
        from ahocorasick_rs import BytesAhoCorasick, Implementation

        with self._lock:
            if self._automaton is None:
                patterns = [keyword for keyword, _ in self._keywords]
                self._automaton = BytesAhoCorasick(patterns, implementation=Implementation.DFA)
        return self._automaton

    def hits(self, lower: bytes) -> dict[str, list[Hit]]:
        """All keywords in these bytes, overlapping ones too, grouped by owner."""
        automaton = self._automaton or self._build()
        grouped: dict[str, list[Hit]] = {}
        for index, start, end in automaton.find_matches_as_indexes(lower, overlapping=True):
            keyword, owners = self._keywords[index]
            hit = (keyword, start, end)
            for owner in owners:
                grouped.setdefault(owner, []).append(hit)
        return grouped
