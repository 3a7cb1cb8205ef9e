"""The report on calls of unusually many tokens.

Two rules judge the tokens of a call by those of its baseline, the calls like it in the last seven days (in the whole
weeks that these lie in):

- more than the mean and three standard deviations. Of ten calls or fewer none can ever be: the rule is for many.
- a score above 3.5: how many robust standard deviations (median and median absolute deviation, of the logarithms, since
  tokens are spread over powers of ten) the call lies above the median. It works on small samples.

A baseline of too few calls says nothing: the calls of the same model take its place, and where those are too few, the
call is not judged. Of a week's calls of one user and model, the largest four are looked at, and of all that are found
the five hundred most unusual are listed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from heapq import heappush, heappushpop
from typing import Final

import msgspec

from auditmw.entry import to_us
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.reports.statistics import log_spread
from auditmw.rollups import buckets
from auditmw.rollups.grouping import Group
from auditmw.rollups.weeks import LargeCall, WeekCell

ENOUGH_CALLS: Final = 8
"""Of fewer, a median and its deviation are chance."""
SIGMAS: Final = 3.0
MAX_SCORE: Final = 3.5
MOST: Final = 500
"""So many are listed: who has more has no list of what is unusual."""
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
    least_tokens: float
    """No call of fewer is unusual."""

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
    Column("request_id", "request_id", "entry", "id", leads=True),
    Column("user", "user_id", "user", leads=True),
    Column("model", "model", "model", leads=True),
    Column("tokens", "tokens", "tokens", "count"),
    Column("cost_nano", "cost_usd", "cost", "money", in_tables=False),
    Column("baseline", "baseline", "baseline: calls of"),
    Column("baseline_calls", "baseline_calls", "calls", "count"),
    Column("median_tokens", "baseline_median_tokens", "median", "count"),
    Column("limit_tokens", "baseline_limit_tokens", "mean+3sd", "count"),
    Column("score", "score", "score", "number"),
    Column("rules", "rules", "found by"),
)


def anomalies(cells: list[WeekCell], question: Question) -> Answer:
    """Calls of unusually many tokens, the most unusual first; the baseline is made by `question.by`."""
    columns_for(question.by)
    since_us, until_us = to_us(question.since), to_us(question.until)
    own, pooled = tuple(question.by), ("model",)
    baselines = _baselines(cells, own)
    groups = [cell.group(own) for cell in cells]
    of_models = {} if all(group in baselines for group in groups) else _baselines(cells, pooled)
    suspects: list[tuple[float, WeekCell, Baseline]] = []
    unjudged = 0
    for cell, group in zip(cells, groups, strict=True):
        baseline = baselines.get(group) or of_models.get(cell.group(pooled))
        if baseline is None:
            unjudged += cell.calls
        elif cell.top >= baseline.least_tokens:
            suspects.append((baseline.score(cell.top), cell, baseline))
    found = _most_unusual(suspects, since_us, until_us)
    notes = []
    if unjudged:
        asked = sum(cell.calls for cell in cells)
        notes.append(f"{unjudged} of {asked} calls could not be judged: fewer than {ENOUGH_CALLS} are like them")
    if len(found) > MOST:
        notes.append(f"only the {MOST} most unusual calls are listed: ask about less time for others")
    return Answer(_COLUMNS, found[:MOST], notes)


def _most_unusual(suspects: list[tuple[float, WeekCell, Baseline]], since_us: int, until_us: int) -> list[Anomaly]:
    """What is unusual in these cells, each with the highest score in it, the most unusual first.

    More than `MOST` are found where there are more, but not all of them.
    """
    found: list[Anomaly] = []
    scores: list[float] = []  # the highest ones, as a heap
    for highest, cell, baseline in sorted(suspects, key=lambda suspect: -suspect[0]):
        least = scores[0] if len(scores) == MOST else -math.inf
        if round(highest, 2) < least:
            break
        for anomaly in _judged(cell, baseline, since_us, until_us, least):
            found.append(anomaly)
            (heappush if len(scores) < MOST else heappushpop)(scores, anomaly.score)
    found.sort(key=lambda anomaly: (-anomaly.score, anomaly.timestamp_us, anomaly.request_id))
    return found


class _Sizes:
    """What a baseline is made of."""

    __slots__ = ("calls", "counts", "squares", "tokens")

    def __init__(self) -> None:
        self.calls = self.tokens = self.squares = 0
        self.counts: buckets.Counts = 0


def _baselines(cells: Iterable[WeekCell], shared: Sequence[str]) -> dict[Group, Baseline]:
    """The baseline of every group that is large enough."""
    groups: defaultdict[Group, _Sizes] = defaultdict(_Sizes)
    for cell in cells:
        sizes = groups[cell.group(shared)]
        sizes.calls += cell.calls
        sizes.tokens += cell.tokens
        sizes.squares += cell.squares
        sizes.counts += cell.sizes
    name = f"the same {', '.join(shared)}" if shared else "all"
    return {group: _baseline(found, name) for group, found in groups.items() if found.calls >= ENOUGH_CALLS}


def _baseline(sizes: _Sizes, name: str) -> Baseline:
    mean = sizes.tokens / sizes.calls
    width = math.sqrt(max(0.0, (sizes.squares - sizes.tokens * mean) / (sizes.calls - 1)))
    spread = log_spread(buckets.each(sizes.counts))
    limit = math.ceil(mean + SIGMAS * width)
    log_width = max(spread.width, LEAST_WIDTH)
    return Baseline(
        name=name,
        calls=sizes.calls,
        median_tokens=round(math.expm1(spread.middle)),
        limit_tokens=limit,
        log_median=spread.middle,
        log_width=log_width,
        least_tokens=min(limit, math.exp(spread.middle + MAX_SCORE * log_width) - 2),
    )


def _judged(cell: WeekCell, baseline: Baseline, since_us: int, until_us: int, least: float) -> Iterable[Anomaly]:
    """The unusual calls of a cell that have at least this score."""
    for call in cell.largest:  # they come in falling order
        score = baseline.score(call.tokens)
        rules = {"3 sigma": call.tokens > baseline.limit_tokens, "MAD": score > MAX_SCORE}
        if round(score, 2) < least or not any(rules.values()):
            return
        if since_us <= call.timestamp_us < until_us:
            yield _anomaly(cell, call, baseline, score, ", ".join(name for name, fired in rules.items() if fired))


def _anomaly(cell: WeekCell, call: LargeCall, baseline: Baseline, score: float, rules: str) -> Anomaly:
    return Anomaly(
        request_id=call.request_id,
        timestamp_us=call.timestamp_us,
        user=cell.user,
        model=cell.model,
        tokens=call.tokens,
        cost_nano=call.cost_nano,
        baseline=baseline.name,
        baseline_calls=baseline.calls,
        median_tokens=baseline.median_tokens,
        limit_tokens=baseline.limit_tokens,
        score=round(score, 2),
        rules=rules,
    )


REPORT: Final = cell_report(
    "anomalies",
    "Which calls used unusually many tokens?",
    timedelta(days=7),
    ("user", "model"),
    FromCells("weeks", lambda asked: tuple(dict.fromkeys((*asked.by, "user", "model"))), anomalies),
    lookback=timedelta(days=7),
)
