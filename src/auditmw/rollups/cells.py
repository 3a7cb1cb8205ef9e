"""All cells that a run of calls is counted into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from auditmw.rollups.buckets import one
from auditmw.rollups.calls import AnyAttempt, ReportedCall, calls_of, may_have_others
from auditmw.rollups.days import DAY_KEY, DayCell
from auditmw.rollups.grouping import DAY_US, HOUR_US, Group, GroupRow, day_of, grouper, hour_of, week_of
from auditmw.rollups.hours import HOUR_KEY, HOUR_SUMS, HourCell
from auditmw.rollups.parts import cost_parts
from auditmw.rollups.weeks import WEEK_KEY, LargeCall, WeekCell

A = TypeVar("A", bound=AnyAttempt)
R = TypeVar("R", bound=GroupRow)
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
SIMPLE_HOUR_SUMS: Final = tuple(name for name in SIMPLE_SUMS if name in HOUR_SUMS)
"""Those of them that are kept by hour."""
SIMPLE_CALL: Final = (
    "timestamp_us",
    "tenant",
    "user_id",
    "model",
    "error_type",
    "latency_us",
    "ttft_us",
    "tokens",
    "request_id",
    "cost_nano",
)
"""What of such a call is counted one by one."""
_TOKENS: Final = slice(SIMPLE_SUMS.index("input_tokens"), SIMPLE_SUMS.index("output_tokens") + 1)
_day_key: Final = grouper(DAY_KEY)
_hour_key: Final = grouper(HOUR_KEY)
_week_key: Final = grouper(WEEK_KEY)


class Cells(msgspec.Struct):
    """Cells under their keys."""

    days: dict[Group, DayCell] = msgspec.field(default_factory=dict)
    hours: dict[Group, HourCell] = msgspec.field(default_factory=dict)
    weeks: dict[Group, WeekCell] = msgspec.field(default_factory=dict)

    def add_days(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add the sums of calls that succeeded at once: rows of day, tenant, user, model, prices, and `SIMPLE_SUMS`."""
        for number, tenant, user, model, prices, *sums in rows:
            group: Group = (day_of(number * DAY_US), tenant or None, user or None, model or None)
            cell = _cell(self.days, DayCell, DAY_KEY, group)
            _add_sums(cell, SIMPLE_SUMS, sums)
            if prices is not None:
                cell.add_parts(cost_parts(prices, *sums[_TOKENS]))

    def add_hours(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add the same by hour: rows of hour, tenant, model, type of error, and `SIMPLE_HOUR_SUMS`."""
        for number, tenant, model, error_type, *sums in rows:
            group: Group = (hour_of(number * HOUR_US), tenant or None, model or None, "success", error_type or None)
            _add_sums(_cell(self.hours, HourCell, HOUR_KEY, group), SIMPLE_HOUR_SUMS, sums)

    def add_calls(self, rows: Iterable[Sequence[Any]]) -> None:
        """Count the times and sizes of calls that succeeded at once: rows of `SIMPLE_CALL`."""
        weeks: dict[Any, WeekCell] = {}
        hours: dict[Any, HourCell] = {}
        for started, tenant, user, model, error_type, latency_us, ttft_us, tokens, request_id, cost_nano in rows:
            key = (started // HOUR_US, tenant, model, error_type)
            hour = hours.get(key)
            if hour is None:
                group: Group = (hour_of(started), tenant or None, model or None, "success", error_type or None)
                hour = hours[key] = _cell(self.hours, HourCell, HOUR_KEY, group)
            if latency_us is not None:
                hour.latency += one(latency_us)
            if ttft_us is not None:
                hour.ttft += one(ttft_us)
            if tokens is None:
                continue
            key = (started // DAY_US, tenant, user, model)
            week = weeks.get(key)
            if week is None:
                group = (week_of(started), tenant or None, user or None, model or None)
                week = weeks[key] = _cell(self.weeks, WeekCell, WEEK_KEY, group)
            week.count_large(LargeCall(tokens, started, request_id, cost_nano))

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
    cells: dict[Group, R], cell_type: type[R], by: Sequence[str], group: Group, call: ReportedCall, sign: int
) -> None:
    _cell(cells, cell_type, by, group).count(call, sign)


def _cell(cells: dict[Group, R], cell_type: type[R], by: Sequence[str], group: Group) -> R:
    cell = cells.get(group)
    if cell is None:
        cell = cells[group] = cell_type.of(by, group)
    return cell


def _add_sums(cell: DayCell | HourCell, names: Sequence[str], sums: Sequence[int]) -> None:
    """Add sums of calls that each took one attempt."""
    for name, amount in zip(names, sums, strict=True):
        if amount:
            setattr(cell, name, getattr(cell, name) + amount)
    cell.attempts += sums[0]
