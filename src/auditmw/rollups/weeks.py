"""How large calls are, by week, tenant, user and model: what is usual, and the largest ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import msgspec
from msgspec import structs

from auditmw.rollups import buckets
from auditmw.rollups.calls import ReportedCall
from auditmw.rollups.grouping import GroupRow

WEEK_KEY: Final = ("week", "tenant", "user", "model")
LARGEST: Final = 4
"""How many calls of a cell are kept by their ids."""
_TIDY_AT: Final = 16 * LARGEST
_MOST_SQUARED: Final = 1 << 24
"""More tokens than any model takes: their square is that of this many, so that no sum of squares overflows."""


class LargeCall(NamedTuple):
    """A call among the largest of its cell; `request_id` is that of its last attempt."""

    tokens: int
    timestamp_us: int
    request_id: str
    cost_nano: int | None


class WeekCell(GroupRow, kw_only=True):
    """One group of calls that told their tokens: how many, the sum, the sum of squares, and counts by bucket.

    A group of one week keeps its `LARGEST` calls, a group of several weeks those of each.
    """

    calls: int = 0
    tokens: int = 0
    squares: int = 0
    sizes: buckets.Counts = 0
    large: list[LargeCall] | str = msgspec.field(default_factory=list)
    """The largest ones and others, in any order; as text as long as nobody looks at them."""
    top: int = -1
    """The tokens of the largest call that there ever was; -1 where there is none."""
    gone: list[str] = msgspec.field(default_factory=list)
    """Ids of calls that were taken out, for the cell that this one is added to."""

    def count(self, call: ReportedCall, sign: int = 1) -> None:
        """Add a call to the group, or take it out; calls that are taken out come first."""
        if call.tokens is None:
            return
        if sign > 0:
            tokens, last = max(call.tokens, 0), call.last
            self.count_large([LargeCall(tokens, last.timestamp_us, last.request_id, call.cost_nano)])
            return
        tokens = max(call.tokens, 0)
        self.calls -= 1
        self.tokens -= tokens
        self.squares -= min(tokens, _MOST_SQUARED) ** 2
        self.sizes -= buckets.one(tokens)
        self.gone.append(call.last.request_id)

    def count_large(self, calls: Sequence[LargeCall]) -> None:
        """Add calls by their tokens."""
        sizes = [max(call.tokens, 0) for call in calls]
        self.calls += len(sizes)
        self.tokens += sum(sizes)
        self.squares += sum([min(size, _MOST_SQUARED) ** 2 for size in sizes])
        self.sizes += buckets.count_each(sizes)
        self.top = max(self.top, *sizes)
        large = self.largest if isinstance(self.large, str) else self.large
        large += calls
        self.large = self._sorted(large) if len(large) > _TIDY_AT else large

    def add(self, other: Self) -> None:
        """Add another row of the same kind to this one."""
        self.calls += other.calls
        self.tokens += other.tokens
        self.squares += other.squares
        self.sizes += other.sizes
        if other.gone:
            gone = set(other.gone)
            self.large = [call for call in self.largest if call.request_id not in gone]
        self.large = self._sorted([*self.largest, *other.largest])
        self.top = max(self.top, other.top)

    @property
    def largest(self) -> list[LargeCall]:
        """The largest calls in falling order: so many of each week."""
        if isinstance(self.large, str):
            self.large = [call for calls in _decoder.decode(f"[{self.large}]") for call in calls]
        if len(self.large) > 1:
            self.large = self._sorted(self.large)
        return self.large

    def _sorted(self, calls: list[LargeCall]) -> list[LargeCall]:
        calls = sorted(calls, key=_order)
        return calls if self.week is None else calls[:LARGEST]

    def minus(self, other: Self) -> Self:
        """What this row holds beyond another one, as a row to be added."""
        mine, others = ({call.request_id for call in row.largest} for row in (self, other))
        return structs.replace(
            self,
            calls=self.calls - other.calls,
            tokens=self.tokens - other.tokens,
            squares=self.squares - other.squares,
            sizes=self.sizes - other.sizes,
            large=[call for call in self.largest if call.request_id not in others],
            gone=sorted(others - mine),
        )


def _order(call: LargeCall) -> tuple[int, int, str]:
    return -call.tokens, call.timestamp_us, call.request_id


_decoder: Final = msgspec.json.Decoder(list[list[LargeCall]])


def largest_to_text(cell: WeekCell) -> str:
    """The largest calls as stores keep them."""
    return cell.large if isinstance(cell.large, str) else msgspec.json.encode(cell.largest).decode()
