"""The rollups of a SQL store.

Whoever rolls reads, works out what cells change by, and applies that only if nobody else has changed the rollups since.
"""

# ruff: noqa: S608  (tables and columns are constants of this package; values are bound)

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from auditmw.rollups.calls import calls_of
from auditmw.rollups.cells import Cells, cells_of
from auditmw.rollups.days import DAY_KEY, DAY_SUMS, USER_KEY, DayCell
from auditmw.rollups.grouping import WEEK_US, Cell, Group, added, day_of, us_of_day, week_start
from auditmw.rollups.hours import ENDING_KEY, ENDING_SUMS, HOUR_KEY, HourCell
from auditmw.rollups.weeks import WEEK_KEY, WeekCell
from auditmw.stores.rollup_names import came_before, first_named_week, moved, named_in
from auditmw.stores.rollup_rows import (
    HOUR_VALUES,
    WEEK_VALUES,
    hour_cell,
    hour_rows,
    stored_key,
    sums_cell,
    sums_rows,
    week_cell,
    week_rows,
)
from auditmw.stores.rollup_view import COLUMN_OF, Dialect, Extent, Fetch, RollupView

Many = Callable[[str, list[tuple[Any, ...]]], Awaitable[Any]]
C = TypeVar("C", bound=Cell)
_NAMES_AT_ONCE: Final = 5
_PAUSES: Final = 1.5
"""So much longer than it was taken a store is left to its writers."""


class Transaction(NamedTuple):
    """What runs inside one: a query, and one statement for many rows."""

    fetch: Fetch
    many: Many


class _Table(NamedTuple):
    """One kind of cells."""

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    cell_of: Callable[[Sequence[Any]], Any]
    rows_of: Callable[[dict[Group, Any]], list[tuple[Any, ...]]]

    @property
    def columns(self) -> list[str]:
        """The columns of its key."""
        return [COLUMN_OF.get(name, name) for name in self.key]


def _table_of_sums(name: str, cell_type: type[Any], key: tuple[str, ...], sums: tuple[str, ...]) -> _Table:
    return _Table(name, key, sums, partial(sums_cell, cell_type, key, sums), partial(sums_rows, sums))


_DAYS: Final = _table_of_sums("audit_rollup_day", DayCell, DAY_KEY, DAY_SUMS)
_USERS: Final = _table_of_sums("audit_rollup_user", DayCell, USER_KEY, DAY_SUMS)
_ENDINGS: Final = _table_of_sums("audit_rollup_ending", HourCell, ENDING_KEY, ENDING_SUMS)
_HOURS: Final = _Table("audit_rollup_hour", HOUR_KEY, HOUR_VALUES, hour_cell, hour_rows)
_WEEKS: Final = _Table("audit_rollup_week", WEEK_KEY, WEEK_VALUES, week_cell, week_rows)
_TABLES: Final = (_DAYS, _USERS, _HOURS, _ENDINGS, _WEEKS)


class Rollups:
    """Lives on the writer's event loop. Every method raises StoreUnavailable as a store's `append` does."""

    def __init__(
        self,
        dialect: Dialect,
        reading: Callable[[], AbstractAsyncContextManager[Fetch]],
        writing: Callable[[], AbstractAsyncContextManager[Transaction]],
    ) -> None:
        self._dialect = dialect
        self._reading = reading
        self._writing = writing

    @asynccontextmanager
    async def view(self) -> AsyncIterator[RollupView]:
        """One moment of them."""
        async with self._reading() as fetch:
            yield RollupView(fetch, self._dialect)

    async def apply(self, cells: Cells, known: Extent, watermark: int) -> bool:
        """Add these cells and move the watermark, unless somebody has changed the rollups since `known`."""
        move = "UPDATE audit_rollup SET watermark = ?1 WHERE watermark = ?2 AND changes = ?3 RETURNING watermark"
        async with self._writing() as tx:
            if not await tx.fetch(move, watermark, known.watermark, known.changes):
                return False
            await self._add_days(tx, cells.days)
            await self._add_hours(tx, cells.hours)
            await self._merge(tx, _WEEKS, cells.weeks)
            return True

    async def clear(self) -> None:
        """Forget all, so that everything is rolled again."""
        async with self._writing() as tx:
            await self._changed(tx)
            await tx.fetch("UPDATE audit_rollup SET watermark = 0")
            for table in _TABLES:
                await tx.fetch(f"DELETE FROM {table.name}")

    async def forget_user(self, user_id: str, tenant: str | None = None) -> None:
        """Bring what is kept under a person's name in line with the entries, after an erasure; again does no harm.

        What entries no longer say of the person is kept as of nobody. Without a tenant: in every one. Entries are read
        before anything is locked, so that no writer waits, and once more only if somebody has rolled meanwhile.
        """
        async with self._writing() as tx:
            await self._changed(tx)  # whoever has read the name before adds it no more
        async with self._reading() as fetch:
            known, kept = await self._kept_of(fetch, user_id, tenant)
        async with self._writing() as tx:
            await self._changed(tx)
            now = await RollupView(tx.fetch, self._dialect).extent()
            if (now.watermark, now.changes) != (known.watermark, known.changes + 1):
                _, kept = await self._kept_of(tx.fetch, user_id, tenant)
            days = await self._of_user(tx.fetch, _DAYS, user_id, tenant)
            weeks = await self._of_user(tx.fetch, _WEEKS, user_id, tenant)
            await self._add_days(tx, moved(days, kept.days, DayCell, DAY_KEY))
            await self._merge(tx, _WEEKS, moved(weeks, kept.weeks, WeekCell, WEEK_KEY))

    async def _kept_of(self, fetch: Fetch, user_id: str, tenant: str | None) -> tuple[Extent, Cells]:
        """How far the rollups reach, and what the entries below give for the days of a person's cells."""
        view = RollupView(fetch, self._dialect)
        known = await view.extent()
        times = [us_of_day(cell.day) for cell in await self._of_user(fetch, _DAYS, user_id, tenant)]
        times += [us_of_day(cell.week) for cell in await self._of_user(fetch, _WEEKS, user_id, tenant)]
        if not times:
            return known, Cells()
        first, until = min(times), max(times) + WEEK_US
        found = await view.during(first, until, below=known.watermark, user_id=user_id, tenant=tenant)
        return known, cells_of(calls_of(found))

    async def forget_expired(self, since: str, before: str) -> str | None:
        """Do the same for everybody in the first week since a day that has a name in cells of before another day.

        Returns where to go on: the week after, or the same one when entries of it came meanwhile; None when no name is
        left. Entries are read before anything is locked, and names go a few at a time, so that no writer waits.
        """
        async with self._reading() as fetch:
            week = await first_named_week(fetch, since, before)
            if week is None:
                return None
            end = day_of(us_of_day(week) + WEEK_US)
            view = RollupView(fetch, self._dialect)
            known = await view.extent()
            kept = await view.cells_of_days(us_of_day(week), us_of_day(end), below=known.watermark, named=True)
            people = await named_in(fetch, week, min(end, before))
        for start in range(0, len(people), _NAMES_AT_ONCE):
            began = time.monotonic()
            async with self._writing() as tx:
                await self._changed(tx)
                now = await RollupView(tx.fetch, self._dialect).extent()
                late = await came_before(tx.fetch, self._dialect, known.watermark, now.watermark, end)
                if late or now.changes != known.changes + 1:
                    return week
                known = now
                some, until = people[start : start + _NAMES_AT_ONCE], min(end, before)
                days, weeks = [
                    [cell for person in some for cell in await self._of_user(tx.fetch, table, *person, week, until)]
                    for table in (_DAYS, _WEEKS)
                ]
                await self._add_days(tx, moved(days, kept.days, DayCell, DAY_KEY))
                await self._merge(tx, _WEEKS, moved(weeks, kept.weeks, WeekCell, WEEK_KEY))
            await asyncio.sleep(_PAUSES * (time.monotonic() - began))
        return end

    async def recount(self, since_us: int, until_us: int) -> None:
        """Make the cells of these whole weeks anew from the entries, after some of them were removed."""
        since_us, until_us = week_start(since_us), week_start(until_us - 1) + WEEK_US
        async with self._writing() as tx:
            await self._changed(tx)
            for table in _TABLES:
                when = table.key[0]
                await tx.fetch(
                    f"DELETE FROM {table.name} WHERE {when} >= ?1 AND {when} < ?2", day_of(since_us), day_of(until_us)
                )
            view = RollupView(tx.fetch, self._dialect)
            cells = await view.cells_of_days(since_us, until_us, below=(await view.extent()).watermark)
            await self._add_days(tx, cells.days)
            await self._add_hours(tx, cells.hours)
            await self._merge(tx, _WEEKS, cells.weeks)

    async def _changed(self, tx: Transaction) -> None:
        """First in a transaction: it makes those who roll meanwhile begin anew."""
        await tx.fetch("UPDATE audit_rollup SET changes = changes + 1")

    async def _add_days(self, tx: Transaction, cells: dict[Group, DayCell]) -> None:
        """Add cells, and what they come to of all models together."""
        users = {cell.group(USER_KEY): cell for cell in added(cells.values(), USER_KEY, DayCell)}
        await self._add_sums(tx, _DAYS, cells)
        await self._add_sums(tx, _USERS, users)

    async def _add_hours(self, tx: Transaction, cells: dict[Group, HourCell]) -> None:
        """Add cells, and how their calls ended by day."""
        endings = {cell.group(ENDING_KEY): cell for cell in added(cells.values(), ENDING_KEY, HourCell)}
        await self._merge(tx, _HOURS, cells)
        await self._add_sums(tx, _ENDINGS, endings)

    async def _add_sums(self, tx: Transaction, table: _Table, cells: dict[Group, Any]) -> None:
        sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in table.values)
        await tx.many(f"{_insert(table)} DO UPDATE SET {sums}", table.rows_of(cells))
        await self._drop_empty(tx, table, cells)

    async def _merge(self, tx: Transaction, table: _Table, cells: dict[Group, C]) -> None:
        """Add cells to those that are stored."""
        rows = await RollupView(tx.fetch, self._dialect).stored(table.name, table.key, cells)
        stored = {cell.group(table.key): cell for cell in map(table.cell_of, rows)}
        for key, cell in cells.items():
            if key in stored:
                stored[key].add(cell)
            else:
                stored[key] = cell
        replaced = ", ".join(f"{name} = excluded.{name}" for name in table.values)
        await tx.many(f"{_insert(table)} DO UPDATE SET {replaced}", table.rows_of(stored))
        await self._drop_empty(tx, table, cells)

    async def _of_user(
        self,
        fetch: Fetch,
        table: _Table,
        user_id: str,
        tenant: str | None,
        since: str = "",
        until: str = "9999-12-31",
    ) -> list[Any]:
        when = table.key[0]
        where, values = f"user_id = ?1 AND {when} >= ?2 AND {when} < ?3", [user_id, since, until]
        if tenant is not None:
            where, values = f"{where} AND tenant = ?4", [*values, tenant]
        return [table.cell_of(row) for row in await fetch(f"SELECT * FROM {table.name} WHERE {where}", *values)]

    async def _drop_empty(self, tx: Transaction, table: _Table, cells: dict[Group, Any]) -> None:
        emptied = [stored_key(key) for key, cell in cells.items() if cell.calls <= 0]
        if emptied:
            where = " AND ".join(f"{column} = ?{place}" for place, column in enumerate(table.columns, start=1))
            await tx.many(f"DELETE FROM {table.name} WHERE {where} AND calls = 0", emptied)


def _insert(table: _Table) -> str:
    width = len(table.key) + len(table.values)
    marks = ", ".join(f"?{place}" for place in range(1, width + 1))
    return f"INSERT INTO {table.name} VALUES ({marks}) ON CONFLICT ({', '.join(table.columns)})"
