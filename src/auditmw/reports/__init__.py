"""Questions that a trail answers, one a file. Pure: a stream of entries in, rows out; showing them is for others.

A report reads entries, so it says the same on every store.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from auditmw.errors import ConfigurationError
from auditmw.reports import (
    anomalies,
    attempts,
    cache,
    cost,
    coverage,
    errors,
    latency,
    prompts,
    redactions,
    surges,
)
from auditmw.reports.report import Question, Report

REPORTS: Final[dict[str, Report]] = {
    module.REPORT.name: module.REPORT
    for module in (cost, anomalies, errors, surges, latency, cache, redactions, prompts, attempts, coverage)
}
"""Every report by its name."""


def question_for(
    name: str,
    now: datetime,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: Sequence[str] | None = None,
) -> Question:
    """What is asked of a report, with what is not given filled in from it: until now, since the start of a day.

    Raises:
        ConfigurationError: there is no such report, or it cannot answer this.
    """
    if name not in REPORTS:
        raise ConfigurationError(f"there is no report {name!r}: use {', '.join(REPORTS)}")
    asked = REPORTS[name]
    end = until or now
    start = (end - asked.window).replace(hour=0, minute=0, second=0, microsecond=0) if since is None else since
    question = Question(since=start, until=end, by=tuple(asked.by if by is None else by))
    asked.check(question)
    return question
