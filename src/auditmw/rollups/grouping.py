"""By what calls can be grouped, and the rows that groups are counted into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Protocol, Self, TypeVar

import msgspec

from auditmw.entry import EPOCH, AuditEntry, to_us
from auditmw.rollups.calls import AnyAttempt, ReportedCall

DAY_US: Final = 86_400_000_000
HOUR_US: Final = DAY_US // 24
WEEK_US: Final = 7 * DAY_US
FIRST_MONDAY: Final = 4
"""1970-01-05, in days since the epoch."""

Group = tuple[str | None, ...]


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return f"{EPOCH + timedelta(days=number):%Y-%m-%d}"


def day_of(timestamp_us: int) -> str:
    """The day in UTC: `2026-11-24`."""
    return _day(timestamp_us // DAY_US)


def us_of_day(day: str | None) -> int:
    """When a day begins, microseconds since the epoch."""
    return to_us(datetime.fromisoformat(f"{day}T00:00:00+00:00"))


def hour_of(timestamp_us: int) -> str:
    """The hour in UTC: `2026-11-24T09`."""
    return f"{_day(timestamp_us // DAY_US)}T{timestamp_us // HOUR_US % 24:02}"


def week_of(timestamp_us: int) -> str:
    """The Monday that the week begins with, in UTC."""
    return _day(week_start(timestamp_us) // DAY_US)


def week_start(timestamp_us: int) -> int:
    """When the week begins, microseconds since the epoch."""
    days = timestamp_us // DAY_US - FIRST_MONDAY
    return (days - days % 7 + FIRST_MONDAY) * DAY_US


def _team(entry: AnyAttempt) -> str | None:
    team = (entry.metadata or {}).get("team") if isinstance(entry, AuditEntry) else None
    return None if team is None else str(team)


READERS: Final[dict[str, Callable[[AnyAttempt], str | None]]] = {
    "user": lambda entry: entry.user_id or None,
    "model": lambda entry: entry.model or None,
    "tenant": lambda entry: entry.tenant or None,
    "team": _team,
    "app": lambda entry: (entry.app or None) if isinstance(entry, AuditEntry) else None,
    "action": lambda entry: (entry.action or None) if isinstance(entry, AuditEntry) else None,
    "day": lambda entry: day_of(entry.timestamp_us),
    "hour": lambda entry: hour_of(entry.timestamp_us),
    "week": lambda entry: week_of(entry.timestamp_us),
    "status": lambda entry: entry.status,
    "error_type": lambda entry: entry.error_type or None,
}
"""How an entry's value is read; an empty text is none. A team is `metadata["team"]`."""


def grouper(by: Sequence[str]) -> Callable[[AnyAttempt], Group]:
    """A function that reads the group of an entry."""
    readers = [READERS[name] for name in by]
    return lambda entry: tuple([read(entry) for read in readers])


def values_of(by: Sequence[str], group: Group) -> dict[str, Any]:
    """The values of a group by their names."""
    return dict(zip(by, group, strict=True))


class GroupRow(msgspec.Struct, kw_only=True, gc=False):
    """One group of calls: the values that they share, None in those that were not asked for."""

    user: str | None = None
    model: str | None = None
    tenant: str | None = None
    team: str | None = None
    app: str | None = None
    action: str | None = None
    day: str | None = None
    hour: str | None = None
    week: str | None = None
    status: str | None = None
    error_type: str | None = None

    @classmethod
    def of(cls, by: Sequence[str], group: Group) -> Self:
        """An empty row of a group."""
        return cls(**values_of(by, group))

    def group(self, by: Sequence[str]) -> Group:
        """Its values of these groupings."""
        return tuple([getattr(self, name) for name in by])


class CountingRow(Protocol):
    """A row that calls are counted into."""

    @classmethod
    def of(cls, by: Sequence[str], group: Group) -> Self:
        """An empty row of a group."""

    def count(self, call: ReportedCall) -> None:
        """Add a call to the group."""


class Cell(Protocol):
    """A row that is kept: calls are counted into it and taken out, and others of its kind are added."""

    @classmethod
    def of(cls, by: Sequence[str], group: Group) -> Self:
        """An empty cell of a group."""

    def group(self, by: Sequence[str]) -> Group:
        """Its values of these groupings."""

    def count(self, call: ReportedCall, sign: int = 1) -> None:
        """Add a call to the group, or take it out."""

    def add(self, other: Self) -> None:
        """Add another cell of the same kind to this one."""


T = TypeVar("T")
R = TypeVar("R", bound=CountingRow)
C = TypeVar("C", bound=Cell)


def grouped(calls: Iterable[ReportedCall], by: Sequence[str], row_type: type[R]) -> list[R]:
    """The calls counted into a row a group, in the order of the groups' values, absent ones last."""
    group_of = grouper(by)
    rows: dict[Group, R] = {}
    for call in calls:
        group = group_of(call.last)
        row = rows.get(group)
        if row is None:
            row = rows[group] = row_type.of(by, group)
        row.count(call)
    return in_order(rows)


def added(parts: Iterable[C], by: Sequence[str], cell_type: type[C], onto: Iterable[C] = ()) -> list[C]:
    """Cells added up into a cell a group; those in `onto` are of different groups already, and are added to."""
    cells = {cell.group(by): cell for cell in onto}
    for part in parts:
        group = part.group(by)
        cell = cells.get(group)
        if cell is None:
            cell = cells[group] = cell_type.of(by, group)
        cell.add(part)
    return list(cells.values())


def in_order(rows: dict[Group, T]) -> list[T]:
    """Rows in the order of their groups, absent values last."""
    return [rows[group] for group in sorted(rows, key=_key)]


def _key(group: Group) -> tuple[tuple[bool, str], ...]:
    return tuple([(value is None, value or "") for value in group])
