"""The report on how long answers take."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.rollups.buckets import quantile, total
from auditmw.rollups.grouping import GroupRow, in_order, values_of
from auditmw.rollups.hours import HourCell


class LatencyRow(GroupRow, kw_only=True):
    """One group of calls that succeeded, times in microseconds; each is right to within an eighth of itself."""

    calls: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    streams: int
    ttft_p50_us: int | None
    ttft_p95_us: int | None
    ttft_p99_us: int | None


_COLUMNS: Final = (
    Column("calls", "calls", "calls", "count", adds_up=True),
    Column("p50_us", "latency_p50_ms", "p50", "duration"),
    Column("p95_us", "latency_p95_ms", "p95", "duration", drawn="share"),
    Column("p99_us", "latency_p99_ms", "p99", "duration"),
    Column("streams", "streams", "streams", "count", adds_up=True),
    Column("ttft_p50_us", "ttft_p50_ms", "first chunk p50", "duration"),
    Column("ttft_p95_us", "ttft_p95_ms", "p95", "duration"),
    Column("ttft_p99_us", "ttft_p99_ms", "p99", "duration"),
)


def latency(cells: list[HourCell], question: Question) -> Answer:
    """Quantiles of the time to the end of the answer, and of streams to the first chunk, slowest first."""
    rows = [_row(cell, question) for cell in in_order({cell.group(question.by): cell for cell in cells})]
    rows = [row for row in rows if row.calls]
    rows.sort(key=lambda row: (row.day or "", -(row.p95_us or 0)))
    return Answer([*columns_for(question.by), *_COLUMNS], rows)


def _row(cell: HourCell, question: Question) -> LatencyRow:
    return LatencyRow(
        **values_of(question.by, cell.group(question.by)),
        calls=total(cell.latency),
        p50_us=quantile(cell.latency, 0.5),
        p95_us=quantile(cell.latency, 0.95),
        p99_us=quantile(cell.latency, 0.99),
        streams=total(cell.ttft),
        ttft_p50_us=quantile(cell.ttft, 0.5),
        ttft_p95_us=quantile(cell.ttft, 0.95),
        ttft_p99_us=quantile(cell.ttft, 0.99),
    )


REPORT: Final = cell_report(
    "latency",
    "How long do answers take?",
    timedelta(days=7),
    ("model",),
    FromCells("hours", lambda asked: tuple(asked.by), latency, status="success"),
)
