"""The report on versions of system prompts, told apart by their digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from auditmw.entry import AuditEntry
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import Question, Report
from auditmw.rollups.calls import ReportedCall, calls_of
from auditmw.rollups.days import FAILED
from auditmw.rollups.grouping import Group, GroupRow, grouper, in_order, values_of

SHOWN_DIGITS: Final = 12


class PromptRow(GroupRow, kw_only=True):
    """One version in one group. The changes are against the group's version before, None for the first one."""

    digest: str
    app_version: str | None = None
    first_us: int = 0
    last_us: int = 0
    calls: int = 0
    group_calls: int = 0
    priced: int = 0
    priced_nano: int = 0
    sent: int = 0
    errors: int = 0
    before: PromptRow | None = None

    @property
    def version(self) -> str:
        """The digest as far as tables show it."""
        return self.digest[:SHOWN_DIGITS]

    @property
    def share(self) -> float | None:
        """Its share of the group's calls."""
        return self.calls / self.group_calls if self.group_calls else None

    @property
    def mean_nano(self) -> int | None:
        """Nanodollars a priced call."""
        return round(self.priced_nano / self.priced) if self.priced else None

    @property
    def error_rate(self) -> float | None:
        """Errors out of sent."""
        return self.errors / self.sent if self.sent else None

    @property
    def cost_change(self) -> float | None:
        """By which part of itself the mean cost went up from the version before; negative: down."""
        if self.before is None or not self.before.mean_nano or self.mean_nano is None:
            return None
        return self.mean_nano / self.before.mean_nano - 1

    @property
    def error_change(self) -> float | None:
        """By how much the error rate went up."""
        if self.before is None or self.before.error_rate is None or self.error_rate is None:
            return None
        return self.error_rate - self.before.error_rate

    @property
    def unannounced(self) -> str | None:
        """Says so where the prompt changed and the application's version did not."""
        return "same app version" if self.before is not None and self.before.app_version == self.app_version else None

    def count(self, call: ReportedCall) -> None:
        """Add a call to the group."""
        started = call.last.timestamp_us
        self.first_us = min(self.first_us, started) if self.calls else started
        self.last_us = max(self.last_us, started)
        self.calls += 1
        if call.cost_nano is not None:
            self.priced += 1
            self.priced_nano += call.cost_nano
        if call.last.status != "blocked":
            self.sent += 1
            self.errors += call.last.status in FAILED


_COLUMNS: Final = (
    Column("digest", "system_prompt_hash", "digest", in_tables=False),
    Column("version", "version", "prompt", leads=True),
    Column("first_us", "first_seen", "first seen (UTC)", "time"),
    Column("last_us", "last_seen", "last seen (UTC)", "time"),
    Column("calls", "calls", "calls", "count"),
    Column("share", "share", "share", "ratio", drawn="value"),
    Column("mean_nano", "mean_cost_usd", "cost a call", "money"),
    Column("cost_change", "cost_change", "cost change", "ratio"),
    Column("error_rate", "error_rate", "errors", "ratio"),
    Column("error_change", "error_rate_change", "change", "ratio"),
    Column("unannounced", "unannounced", "note"),
)


def prompts(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """The versions of each group's system prompt, in the order in which they appeared."""
    columns = [*columns_for(question.by), *_COLUMNS]
    group_of = grouper(question.by)
    rows: dict[Group, PromptRow] = {}
    for call in calls_of(entries):
        last = call.last
        if not isinstance(last, AuditEntry) or last.system_prompt_hash is None:
            continue
        group = group_of(last)
        key = (*group, last.system_prompt_hash)
        row = rows.get(key)
        if row is None:
            row = PromptRow(**values_of(question.by, group), digest=last.system_prompt_hash)
            row.app_version = last.app_version
            rows[key] = row
        row.count(call)
    found = in_order(rows)
    found.sort(key=lambda row: row.first_us)
    newest: dict[Group, PromptRow] = {}
    totals: Counter[Group] = Counter()
    for row in found:
        totals[row.group(question.by)] += row.calls
    for row in found:
        group = row.group(question.by)
        row.before = newest.get(group)
        newest[group] = row
        row.group_calls = totals[group]
    return Answer(columns, found)


REPORT: Final = Report(
    "prompts", "Which system prompts were in use, and what did a change do?", timedelta(days=30), ("action",), prompts
)
