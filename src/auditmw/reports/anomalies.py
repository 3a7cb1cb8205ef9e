"""The report on calls of unusually many tokens.

Two rules judge the tokens of a call by those of its baseline, the calls like it in the last seven days:

- more than the mean and three standard deviations. Of ten calls or fewer none can ever be: the rule is for many.
- a score above 3.5: how many robust standard deviations (median and median absolute deviation, of the logarithms, since
  tokens are spread over powers of ten) the call lies above the median. It works on small samples.

A baseline of too few calls says nothing: the calls of the same model take its place, and where those are too few, the
call is not judged.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from auditmw.entry import AuditEntry, to_us
from auditmw.reports.calls import ReportedCall, calls_of
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import Group, columns_for, grouper
from auditmw.reports.report import Question, Report
from auditmw.reports.statistics import mean_spread, median_spread

ENOUGH_CALLS: Final = 8
"""Of fewer, a median and its deviation are chance."""
SIGMAS: Final = 3.0
MAX_SCORE: Final = 3.5
LEAST_WIDTH: Final = math.log(2) / MAX_SCORE
"""So that in a baseline of nearly equal calls only those of more than twice the median are unusual."""


class Baseline(msgspec.Struct, frozen=True):
    """What calls usually come to: what these share, how many they are, their median, the limit of the first rule."""

    name: str
    calls: int
    median_tokens: int
    limit_tokens: int
    log_median: float
    log_width: float

    def score(self, tokens: int) -> float:
        """How many robust standard deviations these tokens lie above the median."""
        return (math.log1p(tokens) - self.log_median) / self.log_width


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """A call of unusually many tokens, and the baseline that says so."""

    request_id: str
    timestamp_us: int
    user: str | None
    model: str | None
    tokens: int
    cost_nano: int | None
    baseline: str
    baseline_calls: int
    median_tokens: int
    limit_tokens: int
    score: float
    rules: str


_COLUMNS: Final = (
    Column("timestamp_us", "timestamp", "time (UTC)", "time", in_tables=False),
    Column("request_id", "request_id", "entry", "id"),
    Column("user", "user_id", "user"),
    Column("model", "model", "model"),
    Column("tokens", "tokens", "tokens", "count"),
    Column("cost_nano", "cost_usd", "cost", "money", in_tables=False),
    Column("baseline", "baseline", "baseline: calls of"),
    Column("baseline_calls", "baseline_calls", "calls", "count"),
    Column("median_tokens", "baseline_median_tokens", "median", "count"),
    Column("limit_tokens", "baseline_limit_tokens", "mean+3sd", "count"),
    Column("score", "score", "score", "number"),
    Column("rules", "rules", "found by"),
)


def anomalies(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """Calls of unusually many tokens, the most unusual first; the baseline is made by `question.by`."""
    columns_for(question.by)
    since_us = to_us(question.since)
    calls = [call for call in calls_of(entries) if call.tokens is not None]
    baseline_of = _baselines(calls, question.by)
    asked = [(call, baseline_of(call)) for call in calls if call.last.timestamp_us >= since_us]
    found = [anomaly for call, baseline in asked if baseline and (anomaly := _judged(call, baseline)) is not None]
    found.sort(key=lambda anomaly: (-anomaly.score, anomaly.timestamp_us))
    unjudged = sum(baseline is None for _, baseline in asked)
    note = f"{unjudged} of {len(asked)} calls could not be judged: fewer than {ENOUGH_CALLS} are like them"
    return Answer(_COLUMNS, found, [note] if unjudged else [])


def _baselines(calls: Sequence[ReportedCall], by: Sequence[str]) -> Callable[[ReportedCall], Baseline | None]:
    """A function that finds a call's baseline: the first of its groups that is large enough."""
    names = list(dict.fromkeys((tuple(by), ("model",))))
    levels = [grouper(shared) for shared in names]
    tokens: list[defaultdict[Group, list[int]]] = [defaultdict(list) for _ in levels]
    for call in calls:
        for group_of, groups in zip(levels, tokens, strict=True):
            groups[group_of(call.last)].append(call.tokens or 0)
    made = [
        {group: _baseline(shared, found) for group, found in groups.items() if len(found) >= ENOUGH_CALLS}
        for shared, groups in zip(names, tokens, strict=True)
    ]

    def baseline_of(call: ReportedCall) -> Baseline | None:
        fitting = (groups.get(group_of(call.last)) for group_of, groups in zip(levels, made, strict=True))
        return next((baseline for baseline in fitting if baseline is not None), None)

    return baseline_of


def _baseline(shared: Sequence[str], tokens: Sequence[int]) -> Baseline:
    mean = mean_spread(tokens)
    log_median = median_spread([math.log1p(count) for count in tokens])
    return Baseline(
        name=f"the same {', '.join(shared)}" if shared else "all",
        calls=len(tokens),
        median_tokens=round(math.expm1(log_median.middle)),
        limit_tokens=math.ceil(mean.middle + SIGMAS * mean.width),
        log_median=log_median.middle,
        log_width=max(log_median.width, LEAST_WIDTH),
    )


def _judged(call: ReportedCall, baseline: Baseline) -> Anomaly | None:
    tokens = call.tokens or 0
    score = baseline.score(tokens)
    rules = {"3 sigma": tokens > baseline.limit_tokens, "MAD": score > MAX_SCORE}
    if not any(rules.values()):
        return None
    return Anomaly(
        request_id=call.last.request_id,
        timestamp_us=call.last.timestamp_us,
        user=call.last.user_id,
        model=call.last.model,
        tokens=tokens,
        cost_nano=call.cost_nano,
        baseline=baseline.name,
        baseline_calls=baseline.calls,
        median_tokens=baseline.median_tokens,
        limit_tokens=baseline.limit_tokens,
        score=round(score, 2),
        rules=", ".join(name for name, fired in rules.items() if fired),
    )


REPORT: Final = Report(
    "anomalies",
    "Which calls used unusually many tokens?",
    timedelta(days=7),
    ("user", "model"),
    anomalies,
    lookback=timedelta(days=7),
)
