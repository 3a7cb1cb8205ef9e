"""The report on what was found and taken out before it was sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from auditmw.entry import AuditEntry
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import Question, Report
from auditmw.rollups.calls import calls_of
from auditmw.rollups.grouping import Group, GroupRow, day_of, grouper, in_order, values_of


class RedactionRow(GroupRow, kw_only=True):
    """One kind of finding in one group. `found` counts findings, in `calls` of the group's `scanned` calls."""

    kind: str
    found: int = 0
    calls: int = 0
    scanned: int = 0
    first_day: str = ""
    last_day: str = ""

    @property
    def share(self) -> float | None:
        """The share of the scanned calls that held it."""
        return self.calls / self.scanned if self.scanned else None


_COLUMNS: Final = (
    Column("kind", "kind", "found", leads=True),
    Column("found", "findings", "findings", "count", drawn="share", adds_up=True),
    Column("calls", "calls", "in calls", "count"),
    Column("scanned", "scanned_calls", "of scanned", "count"),
    Column("share", "share_of_calls", "share", "ratio"),
    Column("first_day", "first_day", "first (UTC)"),
    Column("last_day", "last_day", "last (UTC)"),
)


def redactions(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """How often each kind was found by group, the most frequent first; a retried call counts once."""
    columns = [*columns_for(question.by), *_COLUMNS]
    group_of = grouper(question.by)
    rows: dict[Group, RedactionRow] = {}
    scanned: dict[Group, int] = {}
    for call in calls_of(entries):
        last = call.last
        if not isinstance(last, AuditEntry) or last.sanitization is None:
            continue
        group = group_of(last)
        scanned[group] = scanned.get(group, 0) + 1
        for kind, found in last.sanitization.items():
            row = rows.get((*group, kind))
            if row is None:
                row = RedactionRow(**values_of(question.by, group), kind=kind)
                row.first_day = row.last_day = day_of(last.timestamp_us)
                rows[*group, kind] = row
            row.found += found
            row.calls += 1
            row.first_day = min(row.first_day, day_of(last.timestamp_us))
            row.last_day = max(row.last_day, day_of(last.timestamp_us))
    for key, row in rows.items():
        row.scanned = scanned[key[:-1]]
    found_rows = in_order(rows)
    found_rows.sort(key=lambda row: -row.found)
    return Answer(columns, found_rows)


REPORT: Final = Report("redactions", "What was taken out before it was sent?", timedelta(days=7), ("app",), redactions)
