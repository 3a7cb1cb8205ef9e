"""What a report is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from auditmw.entry import AuditEntry
from auditmw.reports.columns import Answer


class Question(msgspec.Struct, frozen=True):
    """What is asked: about calls from `since` until before `until` (both aware), grouped by these (see `GROUPINGS`)."""

    since: datetime
    until: datetime
    by: Sequence[str]


class Report(msgspec.Struct, frozen=True):
    """A report: its name, the question that it answers, and how it answers from a stream of entries.

    It covers `window` and groups `by` unless told otherwise. `lookback` is how much before the end of what is asked
    its baseline begins: entries from there on belong into the stream too.
    """

    name: str
    question: str
    window: timedelta
    by: Sequence[str]
    answer: Callable[[Iterable[AuditEntry], Question], Answer]
    lookback: timedelta = timedelta()

    def first_needed(self, question: Question) -> datetime:
        """From when on entries are needed."""
        return min(question.since, question.until - self.lookback)
