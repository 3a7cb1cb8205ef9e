"""What a report is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from auditmw.entry import AuditEntry, to_datetime, to_us
from auditmw.errors import ConfigurationError
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.rollups.calls import calls_of, ending
from auditmw.rollups.days import DAY_KEY, DayCell
from auditmw.rollups.grouping import WEEK_US, Cell, added, grouped, week_start
from auditmw.rollups.hours import HOUR_KEY, HourCell
from auditmw.rollups.weeks import WEEK_KEY, WeekCell

CellKind = Literal["days", "endings", "hours", "weeks"]
CELLS: Final[dict[CellKind, tuple[type[Cell], tuple[str, ...]]]] = {
    "days": (DayCell, DAY_KEY),
    "endings": (HourCell, (*HOUR_KEY, "day")),
    "hours": (HourCell, (*HOUR_KEY, "day")),
    "weeks": (WeekCell, WEEK_KEY),
}
"""Each kind of cells: the type, and what they are kept by. Endings are hours without their times."""


class Question(msgspec.Struct, frozen=True):
    """What is asked: about calls from `since` until before `until` (both aware), grouped by these (see `GROUPINGS`)."""

    since: datetime
    until: datetime
    by: Sequence[str]


class FromCells(msgspec.Struct, frozen=True):
    """How a report answers from cells: of which kind, grouped by what, with which sums, of calls that ended how."""

    kind: CellKind
    key: Callable[[Question], tuple[str, ...]]
    answer: Callable[[list[Any], Question], Answer]
    sums: tuple[str, ...] = ()
    status: str | None = None


class Report(msgspec.Struct, frozen=True):
    """A report: its name, the question that it answers, and how it answers from a stream of entries.

    It covers `window` and groups `by` unless told otherwise. `lookback` is how much before the end of what is asked
    its baseline begins: entries from there on belong into the stream too. `cells` says how it answers from rollups,
    where a store keeps them; the answer is the same. `kinds` are those of the entries that it reads, None all but
    control entries.
    """

    name: str
    question: str
    window: timedelta
    by: Sequence[str]
    answer: Callable[[Iterable[AuditEntry], Question], Answer]
    lookback: timedelta = timedelta()
    cells: FromCells | None = None
    kinds: tuple[str | None, ...] = ("llm",)
    endings: dict[str, Column] = msgspec.field(default_factory=dict)
    """By what only this report groups."""

    def check(self, question: Question) -> None:
        """Refuse a question that this report cannot answer.

        Raises:
            ConfigurationError: there is no such grouping, it is named twice, or `since` is after `until`.
        """
        columns_for(question.by, self.endings)
        if question.since > question.until:
            raise ConfigurationError(f"since ({question.since}) is after until ({question.until}): exchange them")

    def reach(self, question: Question) -> tuple[datetime, datetime]:
        """From when until when entries are needed: for a baseline, whole weeks."""
        if not self.lookback:
            return question.since, question.until
        since = week_start(to_us(min(question.since, question.until - self.lookback)))
        until = week_start(to_us(question.until) - 1) + WEEK_US
        return to_datetime(since), to_datetime(until)


def cell_report(
    name: str,
    question: str,
    window: timedelta,
    by: Sequence[str],
    cells: FromCells,
    lookback: timedelta = timedelta(),
    endings: dict[str, Column] | None = None,
) -> Report:
    """A report that counts entries into cells where a store has none."""

    def answer(entries: Iterable[AuditEntry], asked: Question) -> Answer:
        columns_for(asked.by, endings)
        cell_type, kept_by = CELLS[cells.kind]
        key = cells.key(asked)
        calls = ending(calls_of(entries), cells.status)
        if cells.kind != "weeks":
            return cells.answer(grouped(calls, key, cell_type), asked)
        weeks = grouped(calls, tuple(dict.fromkeys((*kept_by, *key))), cell_type)
        return cells.answer(added(weeks, key, cell_type), asked)

    return Report(name, question, window, by, answer, lookback, cells, endings=endings or {})
