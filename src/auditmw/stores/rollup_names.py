"""Whose names the rollups hold for days that are over, and what entries still say of those days."""

# ruff: noqa: S608  (tables and columns are constants of this package; values are bound)

from __future__ import annotations

from typing import Final, TypeVar

from auditmw.rollups.days import DayCell
from auditmw.rollups.grouping import Group, us_of_day, week_of
from auditmw.rollups.weeks import WeekCell
from auditmw.stores.rollup_view import Dialect, Fetch

C = TypeVar("C", DayCell, WeekCell)
_NAMED: Final = """
    SELECT {what} FROM audit_rollup_day WHERE user_id <> '' AND day >= ?1 AND day < ?2
    UNION SELECT {what_of_weeks} FROM audit_rollup_week WHERE user_id <> '' AND week >= ?1 AND week < ?2
"""


async def first_named_week(fetch: Fetch, since: str, before: str) -> str | None:
    """The first week from one day on with a name in its cells, days before the other one alone."""
    sql = _NAMED.format(what="min(day)", what_of_weeks="min(week)")
    days = [day for (day,) in await fetch(sql, since, before) if day is not None]
    return week_of(us_of_day(min(days))) if days else None


async def named_in(fetch: Fetch, since: str, until: str) -> list[tuple[str, str]]:
    """Users and their tenants in cells of these days."""
    people = "user_id, tenant"
    rows = await fetch(_NAMED.format(what=people, what_of_weeks=people), since, until)
    return [(user_id, tenant) for user_id, tenant in rows]


async def came_before(fetch: Fetch, dialect: Dialect, first: int, until: int, day: str) -> bool:
    """Whether any of these leaves is of a call that started before a day."""
    sql = f"SELECT count(*) FROM {dialect.entries} WHERE {dialect.run} AND {dialect.time} < ?3"
    return first < until and bool((await fetch(sql, first, until, us_of_day(day)))[0][0])


def moved(stored: list[C], kept: dict[Group, C], cell_type: type[C], key: tuple[str, ...]) -> dict[Group, C]:
    """What the cells of people change by, and those of nobody, when of the people only `kept` remains."""
    found: dict[Group, C] = {}
    for cell in stored:
        remaining = kept.get(cell.group(key)) or cell_type.of(key, cell.group(key))
        gone = remaining.minus(cell)
        found[cell.group(key)] = gone
        nobody = cell.minus(remaining)
        nobody.user = None
        if (others := found.get(nobody.group(key))) is None:
            found[nobody.group(key)] = nobody
        else:
            others.add(nobody)
    return found
