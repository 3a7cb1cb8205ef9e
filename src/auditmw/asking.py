"""Asks a store a report's question: of its rollups where they can answer it, else of its entries; the answer is one.

What the rollups do not hold yet, and the parts of a window that are no whole days or hours, are read from the entries.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import structs

from auditmw.entry import FIELD_CLASSES, AuditEntry, to_datetime, to_us
from auditmw.errors import ConfigurationError
from auditmw.futures import in_a_thread
from auditmw.reports.columns import Answer
from auditmw.reports.report import CELLS, CellKind, FromCells, Question, Report, cell_report
from auditmw.rollups.calls import calls_of, ending, starting
from auditmw.rollups.cells import Cells
from auditmw.rollups.grouping import DAY_US, HOUR_US, WEEK_US, GroupRow, added, day_of, grouped, hour_of, week_of
from auditmw.spending import Owner, Spent
from auditmw.stores.protocol import Filter, Store
from auditmw.stores.rollup_view import RollupView

MOST_UNROLLED: Final = 50_000
"""Of more entries that are not in the rollups, all entries of the window are read, one by one."""
MOST_READ: Final = 2_000_000
"""An answer from so many entries takes about a minute; nobody is left waiting for more."""
_ERASED: Final = dict.fromkeys(name for fields in FIELD_CLASSES.values() for name in fields)
_JUST_NOW_US: Final = 60_000_000
_UNIT_US: Final[dict[CellKind, int]] = {"days": DAY_US, "endings": HOUR_US, "hours": HOUR_US, "weeks": WEEK_US}


async def ask(store: Store, report: Report, question: Question, *, now_us: int, tenant: str | None = None) -> Answer:
    """A report's answer from what is stored.

    Raises:
        ConfigurationError: the report cannot answer this question, or not from so many entries.
        StoreError: the store cannot be read.
    """
    report.check(question)
    cells = report.cells
    if store.rollups is not None and cells is not None and set(cells.key(question)) <= set(CELLS[cells.kind][1]):
        async with store.rollups.view() as view:
            rows = await _cells(view, report, cells, question, now_us, tenant)
        if rows is not None:
            return cells.answer(rows, question)
    return await in_a_thread(
        _entries(store, report, question, tenant), lambda entries: report.answer(_bounded(entries), question)
    )


def _bounded(entries: Iterable[AuditEntry]) -> Iterator[AuditEntry]:
    for number, entry in enumerate(entries):
        if number == MOST_READ:
            raise ConfigurationError(
                f"this question is answered from entries, and more than {MOST_READ:,} lie in that time: ask about less "
                "time, or group by what rollups are kept by (user, model, tenant, day), or export and ask the files"
            )
        yield entry


async def spent(store: Store, by: Owner, since: datetime, own: Callable[[], Sequence[str]], *, now_us: int) -> Spent:
    """What was spent since then by user, tenant or model, and which of these entries are among what was counted.

    `own` is asked after the moment that the answer is of, so that it knows of every entry of its process in there.
    """
    question = Question(since=since, until=to_datetime(now_us), by=(by,))
    if store.rollups is not None and _SPENT.cells is not None:
        async with store.rollups.view() as view:
            rows = await _cells(view, _SPENT, _SPENT.cells, question, now_us, None)
            counted = await view.known(own())
        if rows is not None:
            return Spent({getattr(row, by): row.priced_nano for row in rows}, counted)
    seen: list[str] = []

    def noted(entries: Iterable[AuditEntry]) -> Iterator[AuditEntry]:
        for entry in _bounded(entries):
            seen.append(entry.request_id)
            yield entry

    answer = await in_a_thread(
        _entries(store, _SPENT, question, None), lambda entries: _SPENT.answer(noted(entries), question)
    )
    return Spent({getattr(row, by): row.priced_nano for row in answer.rows}, set(own()).intersection(seen))


_SPENT: Final = cell_report(
    "spent",
    "What was spent?",
    timedelta(days=31),
    (),
    FromCells("days", lambda asked: tuple(asked.by), lambda cells, _: Answer((), cells), ("calls", "priced_nano")),
)


async def _entries(
    store: Store, report: Report, question: Question, tenant: str | None
) -> AsyncGenerator[AuditEntry, None]:
    """The entries of the window; restricted ones as if they were erased, so that the sums are right and name nobody."""
    since, until = report.reach(question)
    for kind in report.kinds:
        wanted = Filter(kind=kind, since_us=to_us(since), until_us=to_us(until), tenant=tenant)
        async for entry in store.query(wanted):
            yield entry
        async for entry in store.query(structs.replace(wanted, restricted=True)):
            yield structs.replace(entry, **_ERASED)


async def _cells(
    view: RollupView, report: Report, cells: FromCells, question: Question, now_us: int, tenant: str | None
) -> list[Any] | None:
    """The cells of a question's groups; None where too many entries are not in the rollups yet."""
    extent = await view.extent()
    if extent.size - extent.watermark > MOST_UNROLLED:
        return None
    cell_type, _ = CELLS[cells.kind]
    key, unit_us = cells.key(question), _UNIT_US[cells.kind]
    since, until = report.reach(question)
    since_us, until_us = to_us(since), to_us(until)
    first_us, last_us = since_us, until_us
    if cells.kind != "weeks":
        first_us = -(-since_us // unit_us) * unit_us
        open_end = until_us >= now_us or (until_us % unit_us and until_us >= now_us - _JUST_NOW_US)
        last_us = (until_us // unit_us + bool(open_end)) * unit_us
    stored: list[Any] = []
    rows: list[Any] = []
    if first_us < last_us:
        stored = await _stored(view, cells, key, first_us, last_us, tenant)
        changed = await view.changes(extent.watermark, extent.size)
        if cells.kind == "weeks":
            await view.beside_stored(changed.weeks)
        rows += _within(_of_kind(changed, cells.kind), cells, first_us, last_us, tenant)
        edges = [(since_us, first_us), (last_us, until_us)]
    else:
        edges = [(since_us, until_us)]
    for start_us, end_us in edges:
        if start_us < end_us:
            found = await view.during(start_us, end_us)
            calls = ending(starting(calls_of(found), start_us, end_us), cells.status)
            rows += grouped((call for call in calls if tenant in {None, call.last.tenant}), key, cell_type)
    if rows:
        stored = [row for row in added(rows, key, cell_type, stored) if row.calls]
    return stored


async def _stored(
    view: RollupView, cells: FromCells, key: tuple[str, ...], first_us: int, last_us: int, tenant: str | None
) -> list[Any]:
    if cells.kind == "days":
        return await view.days(key, cells.sums, day_of(first_us), day_of(last_us), tenant)
    if cells.kind == "weeks":
        return await view.weeks(key, week_of(first_us), week_of(last_us), tenant)
    if cells.kind == "endings":
        return await view.endings(key, first_us, last_us, tenant)
    return await view.hours(key, hour_of(first_us), hour_of(last_us), tenant, cells.status)


def _of_kind(cells: Cells, kind: CellKind) -> Iterable[GroupRow]:
    return (cells.days if kind == "days" else cells.weeks if kind == "weeks" else cells.hours).values()


def _within(
    changed: Iterable[GroupRow], cells: FromCells, first_us: int, last_us: int, tenant: str | None
) -> Iterable[GroupRow]:
    name, label = {"days": ("day", day_of), "weeks": ("week", week_of)}.get(cells.kind, ("hour", hour_of))
    first, last = label(first_us), label(last_us)
    return [
        cell
        for cell in changed
        if first <= getattr(cell, name) < last and tenant in {None, cell.tenant} and cells.status in {None, cell.status}
    ]
