"""The report on what the trail does not hold: what was dropped, lost, interrupted, or is there without its price."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from auditmw.entry import AuditEntry
from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import Question, Report
from auditmw.rollups.calls import is_unpriced


class Place(NamedTuple):
    """Where an entry is: its writer's number, and its leaf."""

    seq: int
    leaf_index: int


class CoverageRow(msgspec.Struct, kw_only=True):
    """One thing that is missing: how often, of how many attempts, and what that means."""

    what: str
    count: int
    of: int
    meaning: str

    @property
    def share(self) -> float | None:
        """The share of attempts."""
        return self.count / self.of if self.of else None


_COLUMNS: Final = (
    Column("what", "what", "what", leads=True),
    Column("count", "count", "count", "count"),
    Column("of", "of_attempts", "of attempts", "count"),
    Column("share", "share", "share", "ratio"),
    Column("meaning", "meaning", "what it means"),
)
_MEANINGS: Final = {
    "recorded": "attempts that the trail holds",
    "dropped": "not recorded, as the trail says itself: it was full",
    "lost": "numbers that were given and never stored, as the trail says itself",
    "set aside": "refused by the store, and kept beside it",
    "gap": "numbers missing between two that are here: run `auditmw verify`",
    "interrupted": "a crash or a close came first: how they ended is not known",
    "abandoned": "the caller did not wait for the end of the stream",
    "unpriced": "cost something that is not known",
    "without usage": "were sent, and their tokens are not told or only in part",
    "without digests": "nothing says what was asked and answered: there was no key, or nothing to digest",
    "with audit errors": "a middleware failed: see the log",
}


def coverage(entries: Iterable[AuditEntry], question: Question) -> Answer:
    """What is missing, what there is most of first; `recorded` is the denominator."""
    columns_for(question.by)
    counts: dict[str, int] = dict.fromkeys(_MEANINGS, 0)
    runs: dict[str, list[Place]] = {}
    for entry in entries:
        if entry.writer is not None and entry.seq is not None and entry.leaf_index is not None:
            runs.setdefault(entry.writer, []).append(Place(entry.seq, entry.leaf_index))
        for what in _of_control(entry) if entry.kind == "control" else _of_attempt(entry):
            counts[what] += _times(entry) if what == "dropped" else 1
    leaves = sorted(place.leaf_index for places in runs.values() for place in places)
    counts["gap"] = sum(_missing(sorted(places), leaves) for places in runs.values())
    recorded = counts["recorded"]
    rows = [
        CoverageRow(what=what, count=count, of=recorded, meaning=_MEANINGS[what])
        for what, count in counts.items()
        if count
    ]
    return Answer(_COLUMNS, sorted(rows, key=lambda row: (row.what != "recorded", -row.count)))


def _of_control(entry: AuditEntry) -> Iterable[str]:
    name = {"drop": "dropped", "lost": "lost", "set_aside": "set aside"}.get(entry.action or "")
    return [] if name is None else [name]


def _times(entry: AuditEntry) -> int:
    count: Any = (entry.metadata or {}).get("count")
    return count if type(count) is int else 1


def _of_attempt(entry: AuditEntry) -> Iterable[str]:
    if entry.kind != "llm":
        return
    yield "recorded"
    if entry.status in {"interrupted", "abandoned"}:
        yield entry.status
    if is_unpriced(entry):
        yield "unpriced"
    if entry.cost_status != "not_billed" and not (entry.usage_complete and entry.output_tokens is not None):
        yield "without usage"
    if entry.input_hash is None and entry.output_hash is None and entry.status not in {"interrupted", "blocked"}:
        yield "without digests"
    if entry.audit_errors:
        yield "with audit errors"


def _missing(places: list[Place], leaves: list[int]) -> int:
    """How many numbers of one writer are missing, for certain, among these entries of its and of others.

    A number that is not seen may be that of an entry that was not asked for: of another tenant, or a call that began
    before what was asked about. So many can be as there are leaves that are not seen between those of its neighbours.
    """
    missing = 0
    for before, after in pairwise(places):
        seen = bisect(leaves, after.leaf_index) - bisect(leaves, before.leaf_index)
        unseen = after.leaf_index - before.leaf_index - seen
        missing += max(0, after.seq - before.seq - 1 - unseen)
    return missing


REPORT: Final = Report(
    "coverage", "What does the trail not hold?", timedelta(days=7), (), coverage, kinds=(None, "control")
)
