"""How rollups are read from a SQL store, and the entries that they do not hold yet; dialects differ in a few words."""

# ruff: noqa: S608  (tables and columns are constants of this package; values are bound)

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from msgspec import structs

from auditmw.canonical import canonical_json
from auditmw.rollups.calls import ATTEMPT_FIELDS, Attempt, calls_of, starting
from auditmw.rollups.cells import SIMPLE_CALL, SIMPLE_SUMS, Cells, delta, of_calls, open_calls
from auditmw.rollups.days import DayCell
from auditmw.rollups.grouping import DAY_US, HOUR_US, Group, added, day_of, hour_of
from auditmw.rollups.hours import ENDING_SUMS, HourCell
from auditmw.rollups.weeks import WEEK_KEY, WeekCell
from auditmw.stores.rollup_rows import (
    HOUR_VALUES,
    WEEK_VALUES,
    hour_cells,
    named_all,
    stored_key,
    week_cell,
    week_cells,
)

Fetch = Callable[..., Awaitable[Sequence[Any]]]
COLUMN_OF: Final = {"user": "user_id"}
"""The columns of groupings that are not named alike."""
_SIMPLE: Final = "e.status = 'success' AND e.attempt = 0"
_TOKENS: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_NO_TOKENS: Final = " AND ".join(f"e.{kind}_tokens IS NULL" for kind in _TOKENS)
_ALL_TOKENS: Final = " + ".join(f"coalesce(e.{kind}_tokens, 0)" for kind in _TOKENS)
_USER: Final = "CASE WHEN e.restricted IS NULL THEN e.user_id END"
"""Of whom a restricted entry is shows to nobody: it counts as one of nobody."""
_GROUP: Final = f"e.tenant, {_USER}, e.model, e.error_type, CASE WHEN e.cost_nano <> 0 THEN e.unit_prices END"
_SUM_OF: Final = {
    "calls": "count(*)",
    "priced_nano": "sum(coalesce(e.cost_nano, 0))",
    "priced": "count(e.cost_nano)",
    "unpriced": "sum(CASE WHEN e.cost_status IN ('priced', 'not_billed') THEN 0 ELSE 1 END)",
    "latency_us": "sum(coalesce(e.latency_us, 0))",
    "timed": "count(e.latency_us)",
    "all_tokens": f"sum({_ALL_TOKENS})",
    "told": f"sum(CASE WHEN {_NO_TOKENS} THEN 0 ELSE 1 END)",
    **{f"{kind}_tokens": f"sum(coalesce(e.{kind}_tokens, 0))" for kind in (*_TOKENS, "thinking")},
    "redactions": "sum(coalesce(e.sanitization_count, 0))",
}
_SUMS: Final = ", ".join(f"CAST({_SUM_OF[name]} AS bigint)" for name in SIMPLE_SUMS)
_SIZE: Final = f"CASE WHEN {_NO_TOKENS} THEN NULL WHEN {_ALL_TOKENS} < 0 THEN 0 ELSE {_ALL_TOKENS} END"
_EVERY_LEAF: Final = 2**62
_DAY_OF_HOUR: Final = "substr(hour, 1, 10)"
FOLLOWING: Final = "(e.attempt > 0 OR e.call_id <> e.request_id)"
"""The condition of the index on later attempts."""


class Dialect(NamedTuple):
    """The words in which SQLite and PostgreSQL differ."""

    entries: str
    """FROM what the entries, named `e`, are read."""
    leaf_index: str
    run: str
    """The condition that leaf indexes lie from ?1 on and before ?2."""
    time: str
    """A start as microseconds."""
    during: str
    """The condition that starts lie from ?1 on and before ?2."""
    one_of: str
    """The condition that what stands before it is one of the texts in the JSON array ?2."""
    keys: str
    """FROM what the keys, a JSON array ?1 of arrays of texts, are read."""
    part: str
    """The text at a place of a key."""


class Extent(NamedTuple):
    """How far the rollups reach: entries below `watermark` are in them, of `size` entries."""

    watermark: int
    changes: int
    size: int


class RollupView:
    """One moment of the rollups and of the entries that they do not hold yet."""

    def __init__(self, fetch: Fetch, dialect: Dialect) -> None:
        self._fetch = fetch
        self._dialect = dialect
        special = {"timestamp_us": dialect.time, "user_id": _USER}
        shown = [special.get(name, f"e.{name}") for name in ATTEMPT_FIELDS]
        special["tokens"] = _SIZE
        self._counted = ", ".join(special.get(name, f"e.{name}") for name in SIMPLE_CALL)
        self._select = f"SELECT {', '.join(shown)} FROM {dialect.entries}"

    async def extent(self) -> Extent:
        """How far the rollups reach."""
        sql = "SELECT r.watermark, r.changes, t.size FROM audit_rollup AS r, audit_trail AS t"
        ((watermark, changes, size),) = await self._fetch(sql)
        return Extent(watermark, changes, size)

    async def changes(self, first: int, until: int) -> Cells:
        """What cells change by when the leaves from `first` on and before `until` are added to those below.

        The sums of calls that succeeded at once, which are nearly all, are worked out by the database.
        """
        where = f"e.kind = 'llm' AND {self._dialect.run}"
        sql = f"{self._select} WHERE {where} AND NOT ({_SIMPLE})"
        tried = [Attempt(*row) for row in await self._fetch(sql, first, until)]
        cells = delta(tried, await self.others(tried, first))
        source = f"FROM {self._dialect.entries} WHERE {where} AND {_SIMPLE}"
        by = f"{self._dialect.time} / {HOUR_US}, {_GROUP}"
        cells.add_sums(await self._fetch(f"SELECT {by}, {_SUMS} {source} GROUP BY {by}", first, until))
        cells.add_calls(await self._fetch(f"SELECT {self._counted} {source}", first, until))
        return cells

    async def during(
        self,
        since_us: int,
        until_us: int,
        *,
        below: int = _EVERY_LEAF,
        user_id: str | None = None,
        tenant: str | None = None,
        named: bool = False,
    ) -> list[Attempt]:
        """The attempts that started then, and the other attempts of their calls whenever they did, of leaves below.

        With `named` those alone that say whose they are.
        """
        where = f"e.kind = 'llm' AND {self._dialect.during} AND {self._dialect.leaf_index} < ?3"
        if named:
            where = f"{where} AND e.user_id IS NOT NULL AND e.restricted IS NULL"
        values: list[Any] = [since_us, until_us, below]
        for column, value in ((_USER, user_id), ("e.tenant", tenant)):
            if value is not None:
                values.append(value)
                where = f"{where} AND {column} = ?{len(values)}"
        found = [Attempt(*row) for row in await self._fetch(f"{self._select} WHERE {where}", *values)]
        known = {attempt.request_id for attempt in found}
        others = await self.others(found, below)
        return [*found, *(attempt for attempt in others if attempt.request_id not in known)]

    async def cells_of_days(self, since_us: int, until_us: int, *, below: int, named: bool = False) -> Cells:
        """The cells of the calls of these whole days, of leaves below, read day by day; `named` as above."""
        cells = Cells()
        for start_us in range(since_us, until_us, DAY_US):
            end_us = start_us + DAY_US
            attempts = await self.during(start_us, end_us, below=below, named=named)
            for call in starting(calls_of(attempts), start_us, end_us):
                cells.count(call)
        return cells

    async def others(self, attempts: Sequence[Attempt], below: int) -> list[Attempt]:
        """The attempts of the same calls whose leaf indexes lie below; those that are given among them."""
        call_ids = open_calls(attempts)
        if not call_ids:
            return []
        one_of = self._dialect.one_of
        where = f"WHERE e.kind = 'llm' AND {self._dialect.leaf_index} < ?1"
        sql = (
            f"{self._select} {where} AND e.call_id {one_of} AND {FOLLOWING} UNION ALL "
            f"{self._select} {where} AND e.request_id {one_of} AND (e.call_id IS NULL OR NOT {FOLLOWING})"
        )
        rows = await self._fetch(sql, below, canonical_json(call_ids).decode())
        return of_calls([Attempt(*row) for row in rows], call_ids)

    async def known(self, request_ids: Sequence[str]) -> set[str]:
        """Those of these entries that are stored."""
        sql = (
            f"SELECT e.request_id FROM {self._dialect.entries} "
            f"WHERE {self._dialect.leaf_index} < ?1 AND e.request_id {self._dialect.one_of}"
        )
        rows = await self._fetch(sql, _EVERY_LEAF, canonical_json(list(request_ids)).decode()) if request_ids else ()
        return {request_id for (request_id,) in rows}

    async def days(
        self, by: Sequence[str], sums: Sequence[str], since: str, until: str, tenant: str | None
    ) -> list[DayCell]:
        """Cells of these days, added up by groups of some of their key; only these sums are filled in."""
        table = "audit_rollup_day" if "model" in by else "audit_rollup_user"
        return named_all(DayCell, (*by, *sums), await self._sums(table, "day", by, sums, since, until, tenant))

    async def endings(self, by: Sequence[str], since_us: int, until_us: int, tenant: str | None) -> list[HourCell]:
        """Cells of these whole hours, added up by groups of some of their key; only numbers of calls are filled in."""
        first_us, last_us = -(-since_us // DAY_US) * DAY_US, until_us // DAY_US * DAY_US
        if "hour" in by or first_us >= last_us:
            return await self._endings("hour", by, hour_of(since_us), hour_of(until_us), tenant)
        days = await self._endings("day", by, day_of(first_us), day_of(last_us), tenant)
        before = await self._endings("hour", by, hour_of(since_us), hour_of(first_us), tenant)
        after = await self._endings("hour", by, hour_of(last_us), hour_of(until_us), tenant)
        return added([*before, *after], by, HourCell, days)

    async def _endings(
        self, time: str, by: Sequence[str], since: str, until: str, tenant: str | None
    ) -> list[HourCell]:
        table = "audit_rollup_hour" if time == "hour" else "audit_rollup_ending"
        rows = await self._sums(table, time, by, ENDING_SUMS, since, until, tenant)
        return named_all(HourCell, (*by, *ENDING_SUMS), rows)

    async def hours(
        self, by: Sequence[str], since: str, until: str, tenant: str | None, status: str | None = None
    ) -> list[HourCell]:
        """Cells of these hours, of calls that ended so, added up by groups of some of their key."""
        columns = [*(_column(name, "hour") for name in by), *HOUR_VALUES]
        where, values = _within("hour", since, until, tenant)
        if status is not None:
            values.append(status)
            where = f"{where} AND status = ?{len(values)}"
        rows = await self._fetch(f"SELECT {', '.join(columns)} FROM audit_rollup_hour WHERE {where}", *values)
        return hour_cells(rows, by)

    async def weeks(self, by: Sequence[str], since: str, until: str, tenant: str | None) -> list[WeekCell]:
        """Cells of these weeks, added up by groups of some of their key."""
        columns = [*(_column(name, "week") for name in by), *WEEK_VALUES]
        where, values = _within("week", since, until, tenant)
        rows = await self._fetch(f"SELECT {', '.join(columns)} FROM audit_rollup_week WHERE {where}", *values)
        return week_cells(rows, by)

    async def beside_stored(self, cells: dict[Group, WeekCell]) -> None:
        """Make changed weeks take out, of the largest calls that are stored, those that give way to their own."""
        rows = await self.stored("audit_rollup_week", WEEK_KEY, cells)
        for before in map(week_cell, rows):
            group = before.group(WEEK_KEY)
            after, changed = structs.replace(before), cells[group]
            after.add(changed)
            changed.large = [call for call in after.largest if call not in before.largest]
            changed.gone = [call.request_id for call in before.largest if call not in after.largest]

    async def stored(self, table: str, key: Sequence[str], groups: Iterable[Group]) -> Sequence[Any]:
        """The rows of these groups, as far as there are any."""
        parts = " AND ".join(
            f"t.{COLUMN_OF.get(name, name)} = {self._dialect.part.format(place)}" for place, name in enumerate(key)
        )
        wanted = canonical_json([stored_key(group) for group in groups]).decode()
        return await self._fetch(f"SELECT t.* FROM {self._dialect.keys} JOIN {table} AS t ON {parts}", wanted)

    async def _sums(
        self, table: str, time: str, by: Sequence[str], sums: Sequence[str], since: str, until: str, tenant: str | None
    ) -> Sequence[Any]:
        names = [_column(name, time) for name in by]
        columns = ", ".join([*(f"nullif({name}, '')" for name in names), *(f"CAST(sum({n}) AS bigint)" for n in sums)])
        where, values = _within(time, since, until, tenant)
        group = f" GROUP BY {', '.join(names)}" if names else " HAVING count(*) > 0"
        return await self._fetch(f"SELECT {columns} FROM {table} WHERE {where}{group}", *values)


def _column(name: str, time: str) -> str:
    """What a grouping is read from, in a table of cells by this time."""
    return _DAY_OF_HOUR if name == "day" != time else COLUMN_OF.get(name, name)


def _within(time: str, since: str, until: str, tenant: str | None) -> tuple[str, list[str]]:
    where, values = f"{time} >= ?1 AND {time} < ?2", [since, until]
    return (where, values) if tenant is None else (f"{where} AND tenant = ?3", [*values, tenant])
