"""The report on failures."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final, Self

import msgspec

from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.reports.statistics import Interval, wilson
from auditmw.rollups.days import FAILED
from auditmw.rollups.grouping import GroupRow, in_order
from auditmw.rollups.hours import HourCell

ENDINGS: Final = {
    "status": Column("status", "status", "status", "status", leads=True),
    "error": Column("error", "error", "error", leads=True),
}
"""By what only this report groups: then a row's rate is its share of all that was sent of its group."""


class ErrorRow(GroupRow, kw_only=True):
    """One group. `sent` is the denominator: calls that were blocked were never sent, and cannot fail.

    `errors` are calls whose last attempt failed, or whose stream ended without its final event (`incomplete`);
    `retried` calls needed more than one attempt, whatever came of them.
    """

    error: str | None = None
    sent: int = 0
    errors: int = 0
    retried: int = 0
    blocked: int = 0
    types: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def rate(self) -> float | None:
        """Errors out of sent; None where nothing was sent."""
        return self.errors / self.sent if self.sent else None

    @property
    def interval(self) -> Interval | None:
        """Where the true rate lies, with 95 percent confidence (Wilson)."""
        return wilson(self.errors, self.sent)

    @property
    def low(self) -> float | None:
        """The lower end of the interval."""
        return None if self.interval is None else self.interval.low

    @property
    def high(self) -> float | None:
        """The upper end of the interval."""
        return None if self.interval is None else self.interval.high

    @property
    def most_common(self) -> str | None:
        """The most common type of error; of equally common ones the first in the alphabet."""
        return min(self.types, key=lambda name: (-self.types[name], name), default=None)

    def take(self, cell: HourCell) -> Self:
        """Add calls that ended alike."""
        if cell.status == "blocked":
            self.blocked += cell.calls
            return self
        self.sent += cell.calls
        self.retried += cell.retried
        if cell.status in FAILED:
            self.errors += cell.calls
            self.types[error_of(cell)] += cell.calls
        return self


_COLUMNS: Final = (
    Column("sent", "calls_sent", "sent", "count", adds_up=True),
    Column("errors", "errors", "errors", "count", adds_up=True),
    Column("rate", "error_rate", "error rate", "ratio", drawn="value"),
    Column("low", "error_rate_low", "95 % from", "ratio"),
    Column("high", "error_rate_high", "to", "ratio"),
    Column("most_common", "most_common_error", "most common"),
    Column("retried", "retried_calls", "retried", "count", adds_up=True),
    Column("blocked", "blocked_calls", "blocked", "count", adds_up=True),
)


def error_of(cell: HourCell) -> str:
    """What went wrong with calls that failed."""
    return cell.error_type or cell.status or ""


def errors(cells: list[HourCell], question: Question) -> Answer:
    """The error rate by group with its denominator and interval, worst first."""
    columns = [*columns_for(question.by, ENDINGS), *_COLUMNS]
    shared = [name for name in question.by if name not in ENDINGS]
    groups: dict[tuple[str | None, ...], ErrorRow] = {}
    for cell in cells:
        group = cell.group(shared)
        groups.setdefault(group, ErrorRow.of(shared, group)).take(cell)
    rows = in_order(groups)
    if len(shared) < len(question.by):
        columns = [column for column in columns if column.attribute not in {"sent", "retried", "blocked"}]
        columns.insert(len(question.by), Column("sent", "calls_sent", "of sent", "count"))
        rows = _by_ending(cells, question, groups)
    rows.sort(key=lambda row: (-(row.rate or 0), -row.sent))
    return Answer(columns, rows)


def _by_ending(
    cells: list[HourCell], question: Question, groups: dict[tuple[str | None, ...], ErrorRow]
) -> list[ErrorRow]:
    """The failures by how they ended, each with the denominator of its group."""
    shared = [name for name in question.by if name not in ENDINGS]
    rows: dict[tuple[str | None, ...], ErrorRow] = {}
    for cell in cells:
        if cell.status in FAILED:
            ending = {"status": cell.status, "error": error_of(cell)}
            group = cell.group(shared)
            key = (*group, *(ending[name] for name in ENDINGS if name in question.by))
            row = rows.get(key)
            if row is None:
                row = rows[key] = ErrorRow.of(shared, group)
                row.status = ending["status"] if "status" in question.by else None
                row.error = ending["error"] if "error" in question.by else None
                row.sent = groups[group].sent
            row.errors += cell.calls
            row.types[error_of(cell)] += cell.calls
    return in_order(rows)


def _key(question: Question) -> tuple[str, ...]:
    return (*(name for name in question.by if name not in ENDINGS), "status", "error_type")


REPORT: Final = cell_report(
    "errors",
    "What went wrong, and how often?",
    timedelta(days=7),
    ("model",),
    FromCells("endings", _key, errors),
    endings=ENDINGS,
)
