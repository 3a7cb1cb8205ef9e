"""The report on money, calls and latency."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from auditmw.entry import AuditEntry
from auditmw.reports.calls import ReportedCall, calls_of
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import GroupRow, columns_for, grouped
from auditmw.reports.report import Question, Report


class CostRow(GroupRow, kw_only=True):
    """One group. `cost_nano` is None where no call's price is known, never 0; `unpriced` calls come on top of it."""

    calls: int = 0
    cost_nano: int | None = None
    unpriced: int = 0
    tokens: int | None = None
    latency_us: int = 0
    timed: int = 0

    @property
    def mean_latency_us(self) -> int | None:
        """Mean latency of the calls' last attempts that have one, microseconds."""
        return round(self.latency_us / self.timed) if self.timed else None

    def count(self, call: ReportedCall) -> None:
        """Add a call to the group."""
        self.calls += 1
        self.unpriced += call.unpriced
        if call.cost_nano is not None:
            self.cost_nano = (self.cost_nano or 0) + call.cost_nano
        if call.tokens is not None:
            self.tokens = (self.tokens or 0) + call.tokens
        if call.last.latency_us is not None:
            self.latency_us += call.last.latency_us
            self.timed += 1


_COLUMNS: Final = (
    Column("calls", "calls", "calls", "count", adds_up=True),
    Column("tokens", "tokens", "tokens", "count", adds_up=True),
    Column("cost_nano", "cost_usd", "cost", "money", drawn="share", adds_up=True),
    Column("unpriced", "unpriced_calls", "unpriced", "count", adds_up=True),
    Column("mean_latency_us", "mean_latency_ms", "mean latency", "duration"),
)


def cost(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """Calls, tokens, cost and mean latency by group, dearest first within a day."""
    columns = [*columns_for(question.by), *_COLUMNS]
    rows = grouped(calls_of(entries), question.by, CostRow)
    rows.sort(key=lambda row: -(row.cost_nano or 0))
    rows.sort(key=lambda row: row.day or "")
    calls, unpriced = sum(row.calls for row in rows), sum(row.unpriced for row in rows)
    note = f"{unpriced} of {calls} calls have no price, or only part of one: the cost shown is a lower bound"
    return Answer(columns, rows, [note] if unpriced else [])


REPORT: Final = Report("cost", "What did it cost?", timedelta(days=30), ("user", "day"), cost)
