from __future__ import annotations

from collections import Counter
from typing import Any

from auditmw.testing.prompt import PromptCache


class ProviderState:
    """What one stand-in remembers from request to request: the ids given out, its prompt cache, its batches."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cache = PromptCache()
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self._given: Counter[str] = Counter()

    def next_id(self, prefix: str) -> str:
        """The prefix and a number that counts up from 1, so that every run of a test sees the same ids."""
        self._given[prefix] += 1
        return f"{prefix}{self._given[prefix]:024d}"
