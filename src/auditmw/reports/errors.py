"""The report on failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import msgspec

from auditmw.entry import AuditEntry
from auditmw.reports.calls import ReportedCall, calls_of
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import GroupRow, columns_for, grouped
from auditmw.reports.report import Question, Report
from auditmw.reports.statistics import Interval, wilson


class ErrorRow(GroupRow, kw_only=True):
    """One group. `sent` is the denominator: calls that were blocked were never sent, and cannot fail.

    `errors` are calls whose last attempt failed, or whose stream ended without its final event (`incomplete`);
    `retried` calls needed more than one attempt, whatever came of them.
    """

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

    def count(self, call: ReportedCall) -> None:
        """Add a call to the group."""
        if call.last.status == "blocked":
            self.blocked += 1
            return
        self.sent += 1
        self.retried += call.attempts > 1
        if call.last.status in {"error", "incomplete"}:
            self.errors += 1
            self.types[call.last.error_type or call.last.status] += 1


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


def errors(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """The error rate by group with its denominator and interval, worst first."""
    columns = [*columns_for(question.by), *_COLUMNS]
    rows = grouped(calls_of(entries), question.by, ErrorRow)
    rows.sort(key=lambda row: (-(row.rate or 0), -row.sent))
    return Answer(columns, rows)


REPORT: Final = Report("errors", "What went wrong, and how often?", timedelta(days=7), ("model",), errors)
