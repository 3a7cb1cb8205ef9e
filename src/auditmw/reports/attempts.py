"""The report on calls that were tried again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from auditmw.entry import AuditEntry
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import Question, Report
from auditmw.rollups.calls import ReportedCall, calls_of
from auditmw.rollups.grouping import GroupRow, grouped


class AttemptsRow(GroupRow, kw_only=True):
    """One group. `waited_us` is what the attempts before the last one took, `wasted_nano` what they cost."""

    calls: int = 0
    attempts: int = 0
    retried: int = 0
    recovered: int = 0
    most: int = 0
    waited_us: int = 0
    wasted_nano: int = 0

    @property
    def gave_up(self) -> int:
        """Calls that were tried again and did not succeed."""
        return self.retried - self.recovered

    @property
    def share(self) -> float | None:
        """The share of calls that were tried again."""
        return self.retried / self.calls if self.calls else None

    def count(self, call: ReportedCall) -> None:
        """Add a call to the group."""
        self.calls += 1
        self.attempts += call.attempts
        self.most = max(self.most, call.attempts)
        if call.attempts > 1:
            self.retried += 1
            self.recovered += call.last.status == "success"
            for earlier in call.all:
                if earlier is not call.last:
                    self.waited_us += earlier.latency_us or 0
                    self.wasted_nano += earlier.cost_nano or 0


_COLUMNS: Final = (
    Column("calls", "calls", "calls", "count", adds_up=True),
    Column("attempts", "attempts", "attempts", "count", adds_up=True),
    Column("retried", "retried_calls", "retried", "count", adds_up=True),
    Column("share", "retried_share", "share", "ratio", drawn="value"),
    Column("recovered", "recovered_calls", "recovered", "count", adds_up=True),
    Column("gave_up", "gave_up_calls", "gave up", "count", adds_up=True),
    Column("most", "most_attempts", "most", "count"),
    Column("waited_us", "waited_ms", "time lost", "duration", adds_up=True),
    Column("wasted_nano", "wasted_usd", "money lost", "money", adds_up=True),
)


def attempts(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """How often calls were tried again by group and what came of it, the largest share first."""
    columns = [*columns_for(question.by), *_COLUMNS]
    rows = grouped(calls_of(entries), question.by, AttemptsRow)
    rows.sort(key=lambda row: (-(row.share or 0), -row.calls))
    return Answer(columns, rows)


REPORT: Final = Report("attempts", "How often was it tried again?", timedelta(days=7), ("model",), attempts)
