"""Which columns to write at all: entries leave half of them empty, and an empty one costs as much as any."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from auditmw.log.leaf import values_at
from auditmw.stores.columns import COLUMNS, REQUIRED


class FilledColumns:
    """The columns that some entry has filled so far, whose number only grows, so that statements stay the same.

    Attributes:
        places: where they are in a row.
        values_of: gives their values of a row.
    """

    def __init__(self, apart: Collection[str] = ()) -> None:
        """`apart`: columns that whoever writes sees to."""
        self._apart = {place for place, name in enumerate(COLUMNS) if name in apart}
        self._choose({place for place, name in enumerate(COLUMNS) if name in REQUIRED})

    def cover(self, rows: Iterable[Sequence[Any]]) -> bool:
        """Add what these rows fill; returns whether that was anything."""
        found: set[int] = set()
        for row in rows:
            if self._empty_of(row) != self._nothing:
                found.update(place for place in self._empty if row[place] is not None)
        if found:
            self._choose(found.union(self.places))
        return bool(found)

    def _choose(self, places: set[int]) -> None:
        self.places = sorted(places)
        self.values_of = values_at(self.places)
        self._empty = [place for place in range(len(COLUMNS)) if place not in places | self._apart]
        self._nothing = (None,) * len(self._empty)
        self._empty_of = values_at(self._empty)
