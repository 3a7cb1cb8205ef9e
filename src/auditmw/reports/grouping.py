"""By what a report can group, and the columns that show the groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from auditmw.entry import AuditEntry, to_datetime
from auditmw.errors import ConfigurationError
from auditmw.reports.calls import ReportedCall
from auditmw.reports.columns import Column

Group = tuple[str | None, ...]


def _team(entry: AuditEntry) -> str | None:
    team = (entry.metadata or {}).get("team")
    return None if team is None else str(team)


GROUPINGS: Final[dict[str, tuple[Column, Callable[[AuditEntry], str | None]]]] = {
    "user": (Column("user", "user_id", "user"), lambda entry: entry.user_id),
    "model": (Column("model", "model", "model"), lambda entry: entry.model),
    "tenant": (Column("tenant", "tenant", "tenant"), lambda entry: entry.tenant),
    "team": (Column("team", "team", "team"), _team),
    "day": (Column("day", "day", "day (UTC)"), lambda entry: f"{to_datetime(entry.timestamp_us):%Y-%m-%d}"),
}
"""By name: its column, and how an entry's value is read. A team is `metadata["team"]`."""


def columns_for(by: Sequence[str]) -> list[Column]:
    """The columns of these groupings.

    Raises:
        ConfigurationError: there is no such grouping, or it is named twice.
    """
    for name in by:
        if name not in GROUPINGS:
            raise ConfigurationError(f"a report cannot group by {name!r}: use {', '.join(GROUPINGS)}")
    if len(set(by)) < len(by):
        raise ConfigurationError(f"grouping by {','.join(by)} names one twice: name each once")
    return [GROUPINGS[name][0] for name in by]


def grouper(by: Sequence[str]) -> Callable[[AuditEntry], Group]:
    """A function that reads the group of an entry."""
    readers = [GROUPINGS[name][1] for name in by]
    return lambda entry: tuple(read(entry) for read in readers)


class GroupRow(msgspec.Struct, kw_only=True):
    """One group of calls: the values that they share, None in those that were not asked for; subclasses count."""

    user: str | None = None
    model: str | None = None
    tenant: str | None = None
    team: str | None = None
    day: str | None = None

    def count(self, call: ReportedCall) -> None:
        """Add a call to the group."""
        raise NotImplementedError


R = TypeVar("R", bound=GroupRow)


def grouped(calls: Iterable[ReportedCall], by: Sequence[str], row_type: type[R]) -> list[R]:
    """The calls counted into a row a group, in the order of the groups' values, absent ones last."""
    group_of = grouper(by)
    rows: dict[Group, R] = {}
    for call in calls:
        group = group_of(call.last)
        row = rows.get(group)
        if row is None:
            row = rows[group] = row_type(**dict(zip(by, group, strict=True)))
        row.count(call)
    return [rows[group] for group in sorted(rows, key=_in_order)]


def _in_order(group: Group) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in group)
