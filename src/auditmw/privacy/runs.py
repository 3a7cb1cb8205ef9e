"""How a declaration says which entries it is about: in runs of leaf indexes, in order and apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from auditmw.log.findings import Run, merged
from auditmw.stores.privacy import DeclaredEntry

_MOST: Final = 2000
"""So many runs one entry names."""


def portions(found: Iterable[Run]) -> Iterator[Sequence[Run]]:
    """Runs without what two of them share, by so many as one entry may name."""
    whole = merged(found)
    for start in range(0, len(whole), _MOST):
        yield whole[start : start + _MOST]


def declared(entries: Sequence[DeclaredEntry], field_class: str) -> list[Run]:
    """The leaves whose values of a class these entries have declared gone."""
    found: list[Run] = []
    for entry in entries:
        leaves: list[Any] = entry.metadata.get("leaves") or []
        if field_class in (entry.metadata.get("classes") or []):
            found += [(run[0], run[1]) for run in leaves]
    return found


def total(runs: Iterable[Run]) -> int:
    """How many leaves they hold."""
    return sum(last - first + 1 for first, last in runs)
