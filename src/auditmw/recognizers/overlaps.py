"""Which findings stay where several lie over each other."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from auditmw.recognizers.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDER = ("SECRET", "IBAN", "CRYPTO", "CARD", "SSN", "PASSWORD", "EMAIL", "URL", "IP", "PASSPORT", "PHONE", "DATE")
"""From the kind that wins to the kind that yields; kinds of other recognizers come after these, by name."""

_RANK = {kind: rank for rank, kind in enumerate(ORDER)}
_WHOLE = frozenset(ORDER) - {"SECRET", "PASSWORD", "URL"}
_SHORTEST_REST = 3


def resolve(findings: Iterable[Finding]) -> list[Finding]:
    """The findings without overlaps, sorted by offset.

    A kind that comes first in `ORDER` wins, then the longer finding, then the earlier one. What a URL, a credential or
    a kind of another recognizer covers beyond the winners stays found: a key in a query does not let the rest through.
    The other kinds are checked as wholes, and a part of one is nothing.
    """
    resolved: list[Finding] = []
    cluster: list[Finding] = []
    cluster_end = 0
    for finding in sorted(set(findings), key=lambda f: f.start):
        if cluster and finding.start >= cluster_end:
            resolved += _winners(cluster)
            cluster = []
        cluster.append(finding)
        cluster_end = max(cluster_end, finding.end)
    return resolved + _winners(cluster)


def _winners(cluster: list[Finding]) -> list[Finding]:
    """The same for findings of which each overlaps another one."""
    if len(cluster) < 2:
        return cluster
    starts: list[int] = []
    taken: list[Finding] = []
    for kind, start, end in sorted(cluster, key=_precedence):
        for piece_start, piece_end in _free(taken, starts, start, end):
            if (piece_start, piece_end) != (start, end) and (
                kind in _WHOLE or piece_end - piece_start < _SHORTEST_REST
            ):
                continue
            index = bisect_left(starts, piece_start)
            starts.insert(index, piece_start)
            taken.insert(index, Finding(kind, piece_start, piece_end))
    return taken


def _precedence(finding: Finding) -> tuple[int, int, int, str]:
    return _RANK.get(finding.kind, len(ORDER)), finding.start - finding.end, finding.start, finding.kind


def _free(taken: list[Finding], starts: list[int], start: int, end: int) -> list[tuple[int, int]]:
    """The parts of `start` to `end` that nothing taken covers."""
    index = bisect_left(starts, start)
    if index and taken[index - 1].end > start:
        index -= 1
    free = []
    while index < len(taken) and taken[index].start < end:
        if taken[index].start > start:
            free.append((start, taken[index].start))
        start = max(start, taken[index].end)
        index += 1
    if start < end:
        free.append((start, end))
    return free
