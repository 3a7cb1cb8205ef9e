"""All cells that a run of calls is counted into."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from auditmw.rollups.buckets import count_each
from auditmw.rollups.calls import AnyAttempt, ReportedCall, calls_of, may_have_others
from auditmw.rollups.days import DAY_KEY, DayCell
from auditmw.rollups.grouping import HOUR_US, Cell, Group, day_of, grouper, hour_of, week_of
from auditmw.rollups.hours import HOUR_KEY, HOUR_SUMS, HourCell
from auditmw.rollups.parts import cost_parts
from auditmw.rollups.weeks import WEEK_KEY, LargeCall, WeekCell

A = TypeVar("A", bound=AnyAttempt)
C = TypeVar("C", bound=Cell)
SIMPLE_SUMS: Final = (
    "calls",
    "priced_nano",
    "priced",
    "unpriced",
    "latency_us",
    "timed",
    "all_tokens",
    "told",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
    "redactions",
)
"""The sums that stores work out themselves of calls that succeeded at once."""
SIMPLE_CALL: Final = (
    "timestamp_us",
    "tenant",
    "user_id",
    "model",
    "error_type",
    "latency_us",
    "ttft_us",
    "tokens",
    "timestamp_us",
    "request_id",
    "cost_nano",
)
"""What of such a call is counted one by one; the last four make a `LargeCall`."""
_LATENCY: Final = SIMPLE_CALL.index("latency_us")
_TTFT: Final = SIMPLE_CALL.index("ttft_us")
_SIZE: Final = SIMPLE_CALL.index("tokens")
_LARGE: Final = slice(_SIZE, None)
_TOKENS: Final = slice(SIMPLE_SUMS.index("input_tokens"), SIMPLE_SUMS.index("output_tokens") + 1)
_day_key: Final = grouper(DAY_KEY)
_hour_key: Final = grouper(HOUR_KEY)
_week_key: Final = grouper(WEEK_KEY)


class Cells(msgspec.Struct):
    """Cells under their keys."""

    days: dict[Group, DayCell] = msgspec.field(default_factory=dict)
    hours: dict[Group, HourCell] = msgspec.field(default_factory=dict)
    weeks: dict[Group, WeekCell] = msgspec.field(default_factory=dict)

    def add_sums(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add calls that succeeded at once: rows of hour, tenant, user, model, type of error, prices, `SIMPLE_SUMS`."""
        for number, tenant, user, model, error_type, prices, *sums in rows:
            started = number * HOUR_US
            day = (day_of(started), tenant or None, user or None, model or None)
            hour = (hour_of(started), tenant or None, model or None, "success", error_type or None)
            cell = _cell(self.days, DayCell, DAY_KEY, day)
            for counted, names in ((cell, SIMPLE_SUMS), (_cell(self.hours, HourCell, HOUR_KEY, hour), HOUR_SUMS)):
                for name, amount in zip(SIMPLE_SUMS, sums, strict=True):
                    if amount and name in names:
                        setattr(counted, name, getattr(counted, name) + amount)
                counted.attempts += sums[0]
            if prices is not None:
                cell.add_parts(cost_parts(prices, *sums[_TOKENS]))

    def add_calls(self, rows: Iterable[Sequence[Any]]) -> None:
        """Count the times and sizes of calls that succeeded at once: rows of `SIMPLE_CALL`."""
        alike: defaultdict[Any, list[Sequence[Any]]] = defaultdict(list)
        for row in rows:
            alike[row[0] // HOUR_US, row[1], row[2], row[3], row[4]].append(row)
        latencies: defaultdict[Group, list[int]] = defaultdict(list)
        ttfts: defaultdict[Group, list[int]] = defaultdict(list)
        for (number, tenant, user, model, error_type), calls in alike.items():
            started = number * HOUR_US
            hour: Group = (hour_of(started), tenant or None, model or None, "success", error_type or None)
            latencies[hour] += [call[_LATENCY] for call in calls if call[_LATENCY] is not None]
            ttfts[hour] += [call[_TTFT] for call in calls if call[_TTFT] is not None]
            told = [LargeCall(*call[_LARGE]) for call in calls if call[_SIZE] is not None]
            if told:
                week: Group = (week_of(started), tenant or None, user or None, model or None)
                _cell(self.weeks, WeekCell, WEEK_KEY, week).count_large(told)
        for hour, values in latencies.items():
            _cell(self.hours, HourCell, HOUR_KEY, hour).latency += count_each(values)
        for hour, values in ttfts.items():
            _cell(self.hours, HourCell, HOUR_KEY, hour).ttft += count_each(values)

    def count(self, call: ReportedCall, sign: int = 1) -> None:
        """Add a call, or take it out."""
        _count(self.days, DayCell, DAY_KEY, _day_key(call.last), call, sign)
        _count(self.hours, HourCell, HOUR_KEY, _hour_key(call.last), call, sign)
        _count(self.weeks, WeekCell, WEEK_KEY, _week_key(call.last), call, sign)


def cells_of(calls: Iterable[ReportedCall]) -> Cells:
    """The cells of whole calls."""
    cells = Cells()
    for call in calls:
        cells.count(call)
    return cells


def delta(entries: Sequence[AnyAttempt], earlier: Sequence[AnyAttempt]) -> Cells:
    """What cells change by when these entries are added to them.

    `earlier` are the attempts that were counted before and whose calls may go on in `entries` (see `open_calls`).
    """
    cells = Cells()
    for call in calls_of(earlier):
        cells.count(call, -1)
    for call in calls_of([*earlier, *entries]):
        cells.count(call)
    return cells


def open_calls(entries: Iterable[AnyAttempt]) -> list[str]:
    """The ids of the calls whose other attempts may have been counted before."""
    return sorted({e.call_id or e.request_id for e in entries if e.kind == "llm" and may_have_others(e)})


def of_calls(attempts: Iterable[A], call_ids: Iterable[str]) -> list[A]:
    """The attempts that belong to these calls."""
    wanted = set(call_ids)
    return [attempt for attempt in attempts if (attempt.call_id or attempt.request_id) in wanted]


def _count(
    cells: dict[Group, C], cell_type: type[C], by: Sequence[str], group: Group, call: ReportedCall, sign: int
) -> None:
    _cell(cells, cell_type, by, group).count(call, sign)


def _cell(cells: dict[Group, C], cell_type: type[C], by: Sequence[str], group: Group) -> C:
    cell = cells.get(group)
    if cell is None:
        cell = cells[group] = cell_type.of(by, group)
    return cell
