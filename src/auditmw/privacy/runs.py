"""Runs of leaf indexes, `(first, last)` each, in order and apart: how a declaration says which entries it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from auditmw.stores.privacy import DeclaredEntry

Run = tuple[int, int]
_MOST: Final = 2000
"""So many runs one entry names."""


def without(runs: Iterable[Run], taken: Iterable[Run]) -> Iterator[Run]:
    """What of `runs` no run of `taken` covers."""
    covers = sorted(taken)
    for first, last in runs:
        at = first
        for cover_first, cover_last in covers:
            if cover_last < at:
                continue
            if cover_first > last:
                break
            if cover_first > at:
                yield at, cover_first - 1
            at = cover_last + 1
        if at <= last:
            yield at, last


def merged(found: Iterable[Run]) -> list[Run]:
    """Runs in order, with those that overlap or touch as one."""
    whole: list[Run] = []
    for first, last in sorted(found):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = (whole[-1][0], max(last, whole[-1][1]))
        else:
            whole.append((first, last))
    return whole


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
