"""What the pages ask of the trail."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec

from auditmw.dashboard import figures
from auditmw.dashboard.selection import Selection
from auditmw.entry import AuditEntry, to_datetime
from auditmw.reports import REPORTS, question_for
from auditmw.reports.columns import Answer
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.rollups.days import DayCell
from auditmw.rollups.hours import HourCell
from auditmw.trail import AuditTrail

LOOKED_AT: Final = 100_000
"""Of so many leaves at a time every entry is read, where no index knows what is looked for."""
MOST: Final = 200
"""So many attempts or children of an entry are shown."""
UNUSUAL: Final = 5
"""So many unusual calls are on the overview, of at most so many days."""
UNUSUAL_DAYS: Final = 7
_SLACK: Final = timedelta(seconds=1)


class Happened(NamedTuple):
    """The overview: sums by the span's unit and the split, times by the unit, and the most unusual calls."""

    cells: Sequence[DayCell]
    times: Sequence[HourCell]
    unusual: Answer


def happened(trail: AuditTrail, selection: Selection) -> Happened:
    """What happened in the time that was chosen; by model, the hours tell everything."""
    span, split, tenant = selection
    key = (span.unit, split, "status") if split == "model" else (span.unit, "status")
    status = None if split == "model" else "success"
    times = _cells(trail, selection, FromCells("hours", lambda _: key, _rows, status=status))
    days = FromCells("days", lambda _: (span.unit, split), _rows, figures.SUMS)
    cells = None if split == "model" else _cells(trail, selection, days)
    since = max(span.since, span.until - timedelta(days=UNUSUAL_DAYS))
    question = Question(since=since, until=span.until, by=REPORTS["anomalies"].by)
    unusual = trail.asked(REPORTS["anomalies"], question, tenant=tenant).result()
    hours = times.result().rows
    return Happened(
        cells=[figures.as_sums(cell) for cell in hours] if cells is None else cells.result().rows,
        times=hours,
        unusual=msgspec.structs.replace(unusual, rows=unusual.rows[:UNUSUAL]),
    )


def _cells(trail: AuditTrail, selection: Selection, cells: FromCells) -> Future[Answer]:
    """A future of cells of the span, as the rows of an answer."""
    span = selection.span
    report = cell_report("overview", "What happened?", span.until - span.since, (), cells)
    return trail.asked(report, Question(since=span.since, until=span.until, by=()), tenant=selection.tenant)


def _rows(cells: list[Any], _question: Question) -> Answer:
    return Answer((), cells)


def answer(trail: AuditTrail, name: str, selection: Selection, by: Sequence[str] | None) -> Answer:
    """A report's answer.

    Raises:
        ConfigurationError: it cannot group by these.
    """
    span = selection.span
    question = question_for(name, to_datetime(trail.clock.now_us()), since=span.since, until=span.until, by=by)
    return trail.asked(REPORTS[name], question, tenant=selection.tenant).result()


def entry_of(trail: AuditTrail, request_id: str) -> AuditEntry | None:
    """The entry of this id, of whatever kind."""
    return _first(trail, request_id=request_id) or _first(trail, request_id=request_id, kind="control")


def attempts_of(trail: AuditTrail, entry: AuditEntry) -> list[AuditEntry]:
    """All attempts of the entry's call; none where it is the only one."""
    found = [] if entry.call_id is None else list(trail.pages(call_id=entry.call_id, limit=MOST).blocking())
    return found if len(found) > 1 else []


def children_of(trail: AuditTrail, entry: AuditEntry) -> list[AuditEntry]:
    """The entries that were made inside this one, of all that started while it ran."""
    until = (entry.logged_at or entry.timestamp) + _SLACK
    return list(trail.pages(parent_id=entry.request_id, since=entry.timestamp, until=until, limit=MOST).blocking())


class Found(NamedTuple):
    """What a text that somebody looks for is: the field and the value by which entries have it; None of nothing.

    `request_id` means the entry itself. Where not all entries were looked at, `older` is the first leaf that was.
    """

    filters: dict[str, str] | None
    older: int | None = None


def find(trail: AuditTrail, text: str, before: int | None = None) -> Found:
    """What is called so: of all entries and calls, and of what else the newest `LOOKED_AT` leaves before one say."""
    if entry_of(trail, text) is not None:
        return Found({"request_id": text})
    if _first(trail, call_id=text) is not None:
        return Found({"call_id": text})
    end = newest(trail) + 1 if before is None else before
    for name in ("user_id", "session_id", "subject", "action", "model", "tenant"):
        if _first(trail, **{name: text}, after=end - LOOKED_AT - 1, before=end, newest_first=True) is not None:
            return Found({name: text})
    return Found(None, end - LOOKED_AT if end > LOOKED_AT else None)


def newest(trail: AuditTrail) -> int:
    """The leaf index of the newest call; -1 where there is none."""
    entry = _first(trail, newest_first=True)
    return -1 if entry is None or entry.leaf_index is None else entry.leaf_index


def _first(trail: AuditTrail, **wanted: Any) -> AuditEntry | None:
    return next(trail.pages(**wanted, limit=1).blocking(), None)
