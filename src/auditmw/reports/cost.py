"""The report on money, calls and latency, with what the month will come to."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from auditmw.entry import MICROSECOND
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.rollups.days import DayCell
from auditmw.rollups.grouping import added
from auditmw.text import money

_COLUMNS: Final = (
    Column("calls", "calls", "calls", "count", adds_up=True),
    Column("tokens", "tokens", "tokens", "count", adds_up=True),
    Column("cost_nano", "cost_usd", "cost", "money", drawn="share", adds_up=True),
    Column("unpriced", "unpriced_calls", "unpriced", "count", adds_up=True),
    Column("mean_latency_us", "mean_latency_ms", "mean latency", "duration"),
)
_SUMS: Final = ("calls", "priced_nano", "priced", "unpriced", "latency_us", "timed", "all_tokens", "told")
_LAST: Final = "\U0010ffff"
PACE_DAYS: Final = 7
LEAST_DAYS: Final = 3
"""Of fewer whole days there is no pace."""


def cost(cells: list[DayCell], question: Question) -> Answer:
    """Calls, tokens, cost and mean latency by group, dearest first within a day."""
    columns = [*columns_for(question.by), *_COLUMNS]
    rows = cells if "day" in question.by else added(cells, question.by, DayCell)
    rows.sort(key=_dearest_first)
    calls, unpriced = sum(row.calls for row in rows), sum(row.unpriced for row in rows)
    note = f"{unpriced} of {calls} calls have no price, or only part of one: the cost shown is a lower bound"
    notes = [note] if unpriced else []
    if (projection := _projection(cells, question)) is not None:
        notes.append(projection)
    return Answer(columns, rows, notes)


def _dearest_first(row: DayCell) -> tuple[str, int, str, str, str, str]:
    names = (row.user or _LAST, row.model or _LAST, row.tenant or _LAST, row.team or _LAST)
    return row.hour or row.day or "", -row.priced_nano, *names


def _projection(cells: Sequence[DayCell], question: Question) -> str | None:
    """What the month that the question ends in comes to, if it goes on as in its last whole days.

    None where the question does not cover the month from its first day on, or too few whole days.
    """
    today = question.until - MICROSECOND
    first = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if question.since > first:
        return None
    by_day: dict[str, int] = {}
    for cell in cells:
        by_day[cell.day or ""] = by_day.get(cell.day or "", 0) + cell.priced_nano
    whole = [by_day.get(f"{today - timedelta(days=back):%Y-%m-%d}", 0) for back in range(1, PACE_DAYS + 1)]
    whole = whole[: max(0, (today - question.since).days)]
    if len(whole) < LEAST_DAYS or not any(whole):
        return None
    spent = sum(by_day.get(f"{first:%Y-%m-}{day:02}", 0) for day in range(1, today.day + 1))
    days_left = monthrange(today.year, today.month)[1] - today.day
    pace = sum(whole) // len(whole)
    rest_of_today = max(0, pace - by_day.get(f"{today:%Y-%m-%d}", 0))
    expected = spent + rest_of_today + days_left * pace
    return (
        f"{today:%B %Y} has cost {money(spent, 2)} so far and comes to about {money(expected, 2)}, if it goes on as in "
        f"the last {len(whole)} whole days ({money(pace, 2)} a day)"
    )


REPORT: Final = cell_report(
    "cost",
    "What did it cost?",
    timedelta(days=30),
    ("user", "day"),
    FromCells("days", lambda asked: (*asked.by, *(() if "day" in asked.by else ("day",))), cost, _SUMS),
)
