"""Usage that one answer splits over several samplings, each with its own model (Anthropic's `usage.iterations`).

The top level of such a usage object leaves out `compaction` iterations, and may or may not hold those of other models,
so neither it nor the list alone is what is billed. `parts` gives each token once.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

OUTSIDE_TOP_LEVEL: Final = "compaction"


class Counts(NamedTuple):
    """Disjoint token counts."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, cached or not: what long-context prices go by."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h


class Part(NamedTuple):
    """The tokens of one sampling and the model that billed them; None is the model that served the answer."""

    model: str | None
    counts: Counts


def count(fields: dict[str, Any], name: str) -> int | None:
    """A token count of a usage object, or None where it is absent or no count."""
    value = fields.get(name)
    return value if type(value) is int and value >= 0 else None


def cache_writes(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Tokens written to the 5-minute and the 1-hour cache; all to the 5-minute one where the split is not told."""
    total = count(usage, "cache_creation_input_tokens")
    split = usage.get("cache_creation")
    if not isinstance(split, dict):
        return total, None
    short, long = count(split, "ephemeral_5m_input_tokens"), count(split, "ephemeral_1h_input_tokens")
    if total is None:
        return short, long
    long = None if long is None else min(long, total)
    return total - (long or 0), long


def counts(usage: dict[str, Any]) -> Counts:
    """The counts of one usage object or iteration, absent ones as 0."""
    short, long = cache_writes(usage)
    return Counts(
        input=count(usage, "input_tokens") or 0,
        cache_read=count(usage, "cache_read_input_tokens") or 0,
        cache_write_5m=short or 0,
        cache_write_1h=long or 0,
        output=count(usage, "output_tokens") or 0,
    )


def parts(usage: dict[str, Any]) -> list[Part]:
    """Each sampling's tokens once, and what the top level holds beyond them; empty for a usage without iterations."""
    listed = usage.get("iterations")
    iterations = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    if not iterations:
        return []
    found = [Part(_model(item), counts(item)) for item in iterations]
    inside = (counts(item) for item in iterations if item.get("type") != OUTSIDE_TOP_LEVEL)
    covered = [sum(values) for values in zip(Counts(), *inside, strict=True)]
    rest = Counts(*(max(0, top - seen) for top, seen in zip(counts(usage), covered, strict=True)))
    return [*found, Part(None, rest)] if any(rest) else found


def total(found: list[Part]) -> Counts:
    """The sum of all parts."""
    return Counts(*(sum(values) for values in zip(*(part.counts for part in found), strict=True)))


def _model(iteration: dict[str, Any]) -> str | None:
    model = iteration.get("model")
    return model if isinstance(model, str) else None
