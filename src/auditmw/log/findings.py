"""What a verification found wrong, and runs of leaf indexes to say it with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

Run = tuple[int, int]
_BEHIND_ALL: Final = (1 << 63, 1 << 63)


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it was written.

    `first` and `last` are the leaf indexes that it concerns, None where it concerns no entry; `request_id` is that of
    entry `first` where it could be read.
    """

    kind: str
    message: str
    first: int | None = None
    last: int | None = None
    request_id: str | None = None


def about_entry(kind: str, leaf_index: int, request_id: str | None, what: str) -> Finding:
    """A finding about one entry."""
    name = f"entry {leaf_index}" if request_id is None else f"entry {leaf_index} ({request_id})"
    return Finding(kind, f"{name} {what}", leaf_index, leaf_index, request_id)


def about_run(kind: str, first: int, last: int, what: str) -> Finding:
    """A finding about consecutive entries, of which more than one reads as many."""
    name = f"entry {first}" if first == last else f"entries {first} to {last}"
    return Finding(kind, f"{name} {what}", first, last)


def runs(indexes: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, last) of each consecutive run."""
    found: list[tuple[int, int]] = []
    for index in indexes:
        if found and index == found[-1][1] + 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found


def merged(found: Iterable[Run]) -> list[Run]:
    """Runs in order, with those that overlap or touch as one."""
    whole: list[Run] = []
    for first, last in sorted(found):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = (whole[-1][0], max(last, whole[-1][1]))
        else:
            whole.append((first, last))
    return whole


def without(found: Iterable[Run], taken: Iterable[Run]) -> Iterator[Run]:
    """What of these runs, in order and each once, no run of `taken` covers."""
    covers = iter([*merged(taken), _BEHIND_ALL])
    cover = next(covers)
    for first, last in merged(found):
        at = first
        while at <= last:
            while cover[1] < at:
                cover = next(covers)
            if at < cover[0]:
                yield at, min(last, cover[0] - 1)
            at = cover[1] + 1
