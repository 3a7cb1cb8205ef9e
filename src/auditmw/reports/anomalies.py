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
from auditmw.reports.calls import calls_of
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


class _Seen(msgspec.Struct, frozen=True, gc=False):
    """What is kept of each call, so that half a million of them fit into memory."""

    request_id: str
    timestamp_us: int
    user: str | None
    model: str | None
    tokens: int
    cost_nano: int | None
    groups: tuple[Group, ...]
    """Its group at each level of baselines, the narrowest first."""


def anomalies(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """Calls of unusually many tokens, the most unusual first; the baseline is made by `question.by`."""
    columns_for(question.by)
    since_us = to_us(question.since)
    levels = list(dict.fromkeys((tuple(question.by), ("model",))))
    seen = _seen(entries, [grouper(shared) for shared in levels])
    baselines = _baselines(seen, levels)
    asked = [call for call in seen if call.timestamp_us >= since_us]
    judged = [(call, next(filter(None, map(baselines.get, enumerate(call.groups))), None)) for call in asked]
    found = [anomaly for call, baseline in judged if baseline and (anomaly := _judged(call, baseline)) is not None]
    found.sort(key=lambda anomaly: (-anomaly.score, anomaly.timestamp_us))
    unjudged = sum(baseline is None for _, baseline in judged)
    note = f"{unjudged} of {len(asked)} calls could not be judged: fewer than {ENOUGH_CALLS} are like them"
    return Answer(_COLUMNS, found, [note] if unjudged else [])


def _seen(entries: Iterable[AuditEntry], groupers: Sequence[Callable[[AuditEntry], Group]]) -> list[_Seen]:
    return [
        _Seen(
            call.last.request_id,
            call.last.timestamp_us,
            call.last.user_id,
            call.last.model,
            call.tokens,
            call.cost_nano,
            tuple(group_of(call.last) for group_of in groupers),
        )
        for call in calls_of(entries)
        if call.tokens is not None
    ]


def _baselines(seen: Iterable[_Seen], levels: Sequence[Sequence[str]]) -> dict[tuple[int, Group], Baseline]:
    """The baseline of every group that is large enough, under its level and the group."""
    tokens: defaultdict[tuple[int, Group], list[int]] = defaultdict(list)
    for call in seen:
        for group in enumerate(call.groups):
            tokens[group].append(call.tokens)
    return {
        (level, group): _baseline(levels[level], counts)
        for (level, group), counts in tokens.items()
        if len(counts) >= ENOUGH_CALLS
    }


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


def _judged(call: _Seen, baseline: Baseline) -> Anomaly | None:
    score = baseline.score(call.tokens)
    rules = {"3 sigma": call.tokens > baseline.limit_tokens, "MAD": score > MAX_SCORE}
    if not any(rules.values()):
        return None
    return Anomaly(
        request_id=call.request_id,
        timestamp_us=call.timestamp_us,
        user=call.user,
        model=call.model,
        tokens=call.tokens,
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
