"""What the pages ask of the trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from auditmw.dashboard.selection import Selection
from auditmw.entry import AuditEntry, to_datetime
from auditmw.reports import REPORTS, question_for
from auditmw.reports.columns import Answer
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.rollups.days import DayCell
from auditmw.trail import AuditTrail

MOST: Final = 200
"""So many attempts or children of an entry are shown."""
_SLACK: Final = timedelta(seconds=1)
_SUMS: Final = (
    *("calls", "priced_nano", "priced", "unpriced", "all_tokens", "attempts", "errors", "blocked"),
    *("output_tokens", "redactions", "latency_us", "timed"),
)


def cells(trail: AuditTrail, selection: Selection) -> Sequence[DayCell]:
    """What the overview is made of: sums by the span's unit and the split, as the rows of an answer."""
    span, key = selection.span, (selection.span.unit, selection.split)
    found = FromCells("days", lambda _: key, lambda rows, _: Answer((), rows), _SUMS)
    report = cell_report("overview", "What happened?", span.until - span.since, (), found)
    question = Question(since=span.since, until=span.until, by=())
    return trail.asked(report, question, tenant=selection.tenant).result().rows


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


def find(trail: AuditTrail, text: str) -> dict[str, str] | None:
    """What a text that somebody looks for is: the field and the value by which entries have it; None of nothing.

    `request_id` means the entry itself.
    """
    if entry_of(trail, text) is not None:
        return {"request_id": text}
    for name in ("call_id", "user_id", "session_id", "subject", "action", "model", "tenant"):
        if _first(trail, **{name: text}) is not None:
            return {name: text}
    return None


def _first(trail: AuditTrail, **wanted: Any) -> AuditEntry | None:
    return next(trail.pages(**wanted, limit=1).blocking(), None)
