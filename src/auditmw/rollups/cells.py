"""All cells that a run of calls is counted into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from auditmw.rollups.calls import AnyAttempt, ReportedCall, calls_of, may_have_others
from auditmw.rollups.days import DAY_KEY, DayCell
from auditmw.rollups.grouping import Group, GroupRow, grouper
from auditmw.rollups.hours import HOUR_KEY, HourCell
from auditmw.rollups.weeks import WEEK_KEY, WeekCell

A = TypeVar("A", bound=AnyAttempt)
R = TypeVar("R", bound=GroupRow)
_day_key: Final = grouper(DAY_KEY)
_hour_key: Final = grouper(HOUR_KEY)
_week_key: Final = grouper(WEEK_KEY)


class Cells(msgspec.Struct):
    """Cells under their keys."""

    days: dict[Group, DayCell] = msgspec.field(default_factory=dict)
    hours: dict[Group, HourCell] = msgspec.field(default_factory=dict)
    weeks: dict[Group, WeekCell] = msgspec.field(default_factory=dict)

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
    cell = cells.get(group)
    if cell is None:
        cell = cells[group] = cell_type.of(by, group)
    cell.count(call, sign)
