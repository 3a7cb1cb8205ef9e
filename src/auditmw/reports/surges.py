"""The report on days on which somebody cost unusually much: a runaway agent, a leaked key.

A day's cost of a user is judged by that user's other days, a new user's by the days of all: by a robust score (median
and median absolute deviation of the logarithms). It must also be three times the median, and more beyond it than a
hundredth of what all cost on a usual day: what is unusual and does not matter raises no alarm.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from statistics import median
from typing import Final

import msgspec

from auditmw.entry import to_us
from auditmw.reports.anomalies import ENOUGH_CALLS, LEAST_WIDTH, MAX_SCORE
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.reports.statistics import Spread, median_spread
from auditmw.rollups.days import DayCell
from auditmw.rollups.grouping import DAY_US, Group, GroupRow, us_of_day, values_of

LEAST_FACTOR: Final = 3
LEAST_SHARE: Final = 0.01
ENOUGH_DAYS: Final = ENOUGH_CALLS


class Surge(GroupRow, kw_only=True):
    """A day of unusual cost, and the baseline that says so."""

    calls: int
    cost_nano: int
    baseline: str
    baseline_days: int
    median_nano: int
    score: float

    @property
    def factor(self) -> float:
        """How many times the usual cost it is."""
        return self.cost_nano / self.median_nano if self.median_nano else math.inf


_COLUMNS: Final = (
    Column("day", "day", "day (UTC)", leads=True),
    Column("calls", "calls", "calls", "count"),
    Column("cost_nano", "cost_usd", "cost", "money", drawn="share"),
    Column("baseline", "baseline", "baseline: days of"),
    Column("baseline_days", "baseline_days", "days", "count"),
    Column("median_nano", "baseline_median_usd", "median", "money"),
    Column("factor", "factor", "times", "number"),
    Column("score", "score", "score", "number"),
)


class _Baseline(msgspec.Struct, frozen=True):
    name: str
    days: int
    spread: Spread


def surges(cells: list[DayCell], question: Question) -> Answer:
    """Days on which a group cost unusually much, the largest cost first."""
    shared = [name for name in question.by if name != "day"]
    columns = [*columns_for(shared), *_COLUMNS]
    costs: defaultdict[Group, list[int]] = defaultdict(list)
    by_day: defaultdict[str | None, int] = defaultdict(int)
    for cell in cells:
        if cell.priced_nano > 0:
            costs[cell.group(shared)].append(cell.priced_nano)
            by_day[cell.day] += cell.priced_nano
    matters = LEAST_SHARE * median(by_day.values()) if by_day else 0
    pooled = _baseline("all", [cost for group in costs.values() for cost in group])
    baselines = {group: _baseline(f"the same {', '.join(shared)}", days) for group, days in costs.items()}
    found = []
    for cell in cells:
        baseline = baselines.get(cell.group(shared)) or pooled
        inside = to_us(question.since) < us_of_day(cell.day) + DAY_US and us_of_day(cell.day) < to_us(question.until)
        if inside and baseline is not None and (surge := _judged(cell, shared, baseline, matters)) is not None:
            found.append(surge)
    found.sort(key=lambda surge: -surge.cost_nano)
    return Answer(columns, found)


def _baseline(name: str, costs: Sequence[int]) -> _Baseline | None:
    if len(costs) < ENOUGH_DAYS:
        return None
    return _Baseline(name, len(costs), median_spread([math.log(cost) for cost in costs]))


def _judged(cell: DayCell, shared: Sequence[str], baseline: _Baseline, matters: float) -> Surge | None:
    usual = math.exp(baseline.spread.middle)
    if cell.priced_nano < LEAST_FACTOR * usual or cell.priced_nano - usual < matters:
        return None
    score = (math.log(cell.priced_nano) - baseline.spread.middle) / max(baseline.spread.width, LEAST_WIDTH)
    if score <= MAX_SCORE:
        return None
    return Surge(
        **values_of(shared, cell.group(shared)),
        day=cell.day,
        calls=cell.calls,
        cost_nano=cell.priced_nano,
        baseline=baseline.name,
        baseline_days=baseline.days,
        median_nano=round(usual),
        score=round(score, 2),
    )


REPORT: Final = cell_report(
    "surges",
    "Who cost unusually much on a day?",
    timedelta(days=7),
    ("user",),
    FromCells(
        "days", lambda asked: tuple(dict.fromkeys((*asked.by, "day"))), surges, ("calls", "priced_nano", "priced")
    ),
    lookback=timedelta(days=28),
)
