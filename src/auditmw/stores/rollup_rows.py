"""Cells as rows of a SQL store, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from auditmw.rollups import buckets
from auditmw.rollups.days import DAY_KEY, DAY_SUMS, DayCell
from auditmw.rollups.grouping import Group
from auditmw.rollups.hours import HOUR_KEY, HourCell
from auditmw.rollups.weeks import WEEK_KEY, WeekCell, largest_to_text

HOUR_VALUES: Final = ("calls", "attempts", "retried", "latency", "ttft")
WEEK_VALUES: Final = ("calls", "tokens", "squares", "top", "sizes", "largest")


def named(cell_type: Any, by: Sequence[str], group: Sequence[str], values: dict[str, Any]) -> Any:
    """A cell of a stored key."""
    for name, value in zip(by, group, strict=True):
        values[name] = value or None
    return cell_type(**values)


def day_cell(row: Sequence[Any]) -> DayCell:
    """The cell of a row of key and sums."""
    width = len(DAY_KEY)
    cell: DayCell = named(DayCell, DAY_KEY, row[:width], dict(zip(DAY_SUMS, row[width:], strict=True)))
    return cell


def hour_cell(row: Sequence[Any]) -> HourCell:
    """The cell of a row of key, calls, attempts, retried, latency and ttft."""
    *group, calls, attempts, retried, latency, ttft = row
    values = {"calls": calls, "attempts": attempts, "retried": retried}
    times = {"latency": buckets.from_text(latency), "ttft": buckets.from_text(ttft)}
    cell: HourCell = named(HourCell, HOUR_KEY, group, values | times)
    return cell


def week_cell(row: Sequence[Any], by: Sequence[str] = WEEK_KEY) -> WeekCell:
    """The cell of a row of key and `WEEK_VALUES`."""
    width = len(by)
    values = dict(zip(("calls", "tokens", "squares", "top", "sizes", "large"), row[width:], strict=True))
    values["sizes"] = buckets.from_text(values["sizes"])
    cell: WeekCell = named(WeekCell, by, row[:width], values)
    return cell


def stored_key(group: Group) -> tuple[str, ...]:
    """A key as it is stored."""
    return tuple([value or "" for value in group])


def day_rows(cells: dict[Group, DayCell]) -> list[tuple[Any, ...]]:
    """Day cells as rows of key and sums."""
    return [(*stored_key(key), *(getattr(cell, name) for name in DAY_SUMS)) for key, cell in sorted_cells(cells)]


def hour_rows(cells: dict[Group, HourCell]) -> list[tuple[Any, ...]]:
    """Hour cells as rows of key, calls, attempts, retried, latency and ttft."""
    return [
        (
            *stored_key(key),
            cell.calls,
            cell.attempts,
            cell.retried,
            buckets.to_text(cell.latency),
            buckets.to_text(cell.ttft),
        )
        for key, cell in sorted_cells(cells)
    ]


def week_rows(cells: dict[Group, WeekCell]) -> list[tuple[Any, ...]]:
    """Week cells as rows of key and `WEEK_VALUES`."""
    return [
        (
            *stored_key(key),
            cell.calls,
            cell.tokens,
            cell.squares,
            cell.top,
            buckets.to_text(cell.sizes),
            largest_to_text(cell),
        )
        for key, cell in sorted_cells(cells)
    ]


def sorted_cells(cells: dict[Group, Any]) -> list[tuple[Group, Any]]:
    """Cells in the order of their stored keys, so that writers never wait for each other in a circle."""
    return sorted(cells.items(), key=lambda item: stored_key(item[0]))
