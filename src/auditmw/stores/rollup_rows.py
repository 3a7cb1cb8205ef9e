"""Cells as rows of a SQL store, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import Any, Final, TypeVar

from auditmw.rollups import buckets
from auditmw.rollups.days import DayCell
from auditmw.rollups.grouping import Group
from auditmw.rollups.hours import HOUR_KEY, HOUR_SUMS, HOUR_TIMES, HourCell
from auditmw.rollups.weeks import WEEK_KEY, WeekCell, largest_to_text

C = TypeVar("C", DayCell, HourCell)
HOUR_VALUES: Final = (*HOUR_SUMS, *HOUR_TIMES)
_WEEK_FIELDS: Final = ("calls", "tokens", "squares", "sizes", "large", "top")
WEEK_VALUES: Final = ("calls", "tokens", "squares", "top", "sizes", "largest")


def named(cell_type: Any, by: Sequence[str], group: Sequence[str], values: dict[str, Any]) -> Any:
    """A cell of a stored key."""
    for name, value in zip(by, group, strict=True):
        values[name] = value or None
    return cell_type(**values)


def named_all(cell_type: type[C], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[C]:
    """Cells of rows of these values, an absent one NULL."""
    return [cell_type(**dict(zip(names, row))) for row in rows]  # noqa: B905  (thousands, all of one query)


def sums_cell(cell_type: type[C], by: Sequence[str], sums: Sequence[str], row: Sequence[Any]) -> C:
    """The cell of a row of key and sums."""
    width = len(by)
    cell: C = named(cell_type, by, row[:width], dict(zip(sums, row[width:], strict=True)))
    return cell


def hour_cell(row: Sequence[Any]) -> HourCell:
    """The cell of a row of key and `HOUR_VALUES`."""
    (cell,) = hour_cells([row], HOUR_KEY)
    return cell


def week_cell(row: Sequence[Any]) -> WeekCell:
    """The cell of a row of key and `WEEK_VALUES`."""
    (cell,) = week_cells([row], WEEK_KEY)
    return cell


def hour_cells(rows: Iterable[Sequence[Any]], by: Sequence[str]) -> list[HourCell]:
    """Rows of group and `HOUR_VALUES`, added up into a cell a group."""
    width, sums = len(by), len(by) + len(HOUR_SUMS)
    groups: dict[Sequence[str], list[int]] = {}
    for row in rows:
        values = [*row[width:sums], *map(buckets.from_bytes, row[sums:])]
        known = groups.setdefault(row[:width], values)
        if known is not values:
            known[:] = map(add, known, values)
    return [named(HourCell, by, group, dict(zip(HOUR_VALUES, values, strict=True))) for group, values in groups.items()]


def week_cells(rows: Iterable[Sequence[Any]], by: Sequence[str]) -> list[WeekCell]:
    """Rows of group and `WEEK_VALUES`, added up into a cell a group."""
    width = len(by)
    groups: dict[Sequence[str], WeekCell] = {}
    for row in rows:
        calls, tokens, squares, top, stored, largest = row[width:]
        sizes, group = buckets.from_bytes(stored), row[:width]
        cell = groups.get(group)
        if cell is None:
            values = (calls, tokens, squares, sizes, largest, top)
            groups[group] = named(WeekCell, by, group, dict(zip(_WEEK_FIELDS, values, strict=True)))
        else:
            cell.calls += calls
            cell.tokens += tokens
            cell.squares += squares
            cell.top = max(cell.top, top)
            cell.sizes += sizes
            cell.large = f"{cell.large},{largest}"
    return list(groups.values())


def stored_key(group: Group) -> tuple[str, ...]:
    """A key as it is stored."""
    return tuple([value or "" for value in group])


def sums_rows(sums: Sequence[str], cells: dict[Group, Any]) -> list[tuple[Any, ...]]:
    """Cells as rows of key and sums."""
    return [(*stored_key(key), *(getattr(cell, name) for name in sums)) for key, cell in sorted_cells(cells)]


def hour_rows(cells: dict[Group, HourCell]) -> list[tuple[Any, ...]]:
    """Hour cells as rows of key and `HOUR_VALUES`."""
    return [
        (
            *stored_key(key),
            *(getattr(cell, name) for name in HOUR_SUMS),
            *(buckets.to_bytes(getattr(cell, name)) for name in HOUR_TIMES),
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
            buckets.to_bytes(cell.sizes),
            largest_to_text(cell),
        )
        for key, cell in sorted_cells(cells)
    ]


def sorted_cells(cells: dict[Group, Any]) -> list[tuple[Group, Any]]:
    """Cells in the order of their stored keys, so that writers never wait for each other in a circle."""
    return sorted(cells.items(), key=lambda item: stored_key(item[0]))
