"""What a prompt weighs, and how much of it the cache already knows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from auditmw.testing.answer import count_tokens

_IMAGE_TOKENS = 1500
_BLOCK_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Part:
    """A block of a prompt. `ttl` is set where a cache breakpoint follows it: "5m" or "1h"."""

    block: Any
    ttl: str | None = None

    @property
    def tokens(self) -> int:
        """Tokens of the block, with what its envelope costs."""
        return _BLOCK_TOKENS + _weigh(self.block)


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Disjoint counts of one prompt's tokens; `total` is their sum."""

    uncached: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    @property
    def total(self) -> int:
        """All tokens of the prompt."""
        return self.uncached + self.read + self.written_5m + self.written_1h


class PromptCache:
    """Remembers prompts up to their cache breakpoints, per model, of any length and for ever."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def count(self, model: str, parts: Sequence[Part]) -> PromptTokens:
        """The tokens of a prompt by what the cache did for them; its breakpoints are remembered."""
        total = sum(part.tokens for part in parts)
        last = max((number for number, part in enumerate(parts, 1) if part.ttl), default=0)
        digest = hashlib.sha256(model.encode(errors="replace"))
        read = position = 0
        written: list[tuple[int, str | None]] = []
        fresh: list[bytes] = []
        for part in parts[:last]:
            position += part.tokens
            digest.update(json.dumps(part.block, sort_keys=True).encode())
            prefix = digest.digest()
            if prefix in self._known:
                read = position
                written.clear()
            elif part.ttl:
                written.append((position, part.ttl))
                fresh.append(prefix)
        self._known.update(fresh)
        counts = {"5m": 0, "1h": 0}
        start = read
        for end, ttl in written:
            counts[ttl or "5m"] += end - start
            start = end
        return PromptTokens(total - start, read, counts["5m"], counts["1h"])


def count_parts(parts: Iterable[Part]) -> int:
    """The tokens of a prompt, cached or not."""
    return sum(part.tokens for part in parts)


def _weigh(value: Any) -> int:
    if isinstance(value, str):
        return count_tokens(value)
    if isinstance(value, list):
        return sum(map(_weigh, value))
    if isinstance(value, dict):
        return _IMAGE_TOKENS if value.get("type") == "image" else sum(map(_weigh, value.values()))
    return 1
