"""What a verification found wrong, and runs of leaf indexes to say it with."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


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
