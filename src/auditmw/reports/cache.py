"""The report on what prompt caching saves, or costs."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Final

from auditmw.reports.columns import Answer, Column
from auditmw.reports.grouping import columns_for
from auditmw.reports.report import FromCells, Question, cell_report
from auditmw.rollups.days import DayCell
from auditmw.rollups.grouping import GroupRow, values_of
from auditmw.rollups.parts import PICO_PER_NANO


class CacheRow(GroupRow, kw_only=True):
    """One group. `saved_nano` is what the same tokens would have cost more without a cache; negative: a loss."""

    calls: int
    prompt_tokens: int
    read_tokens: int
    written_tokens: int
    saved_nano: int
    cost_nano: int | None

    @property
    def hit_rate(self) -> float | None:
        """The share of prompt tokens that came from the cache."""
        return self.read_tokens / self.prompt_tokens if self.prompt_tokens else None


_COLUMNS: Final = (
    Column("calls", "calls", "calls", "count", adds_up=True),
    Column("prompt_tokens", "prompt_tokens", "prompt tokens", "count", adds_up=True),
    Column("hit_rate", "cache_hit_rate", "from cache", "ratio", drawn="value"),
    Column("read_tokens", "cache_read_tokens", "read", "count", adds_up=True),
    Column("written_tokens", "cache_write_tokens", "written", "count", adds_up=True),
    Column("saved_nano", "saved_usd", "saved", "money", adds_up=True),
    Column("cost_nano", "cost_usd", "cost", "money", adds_up=True),
)
_SUMS: Final = (
    "calls",
    "priced_nano",
    "priced",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_saved_pico",
)


def cache(cells: list[DayCell], question: Question) -> Answer:
    """How much of the prompts came from the cache and what that saved by group, the greatest loss first."""
    rows = [_row(cell, question) for cell in cells]
    rows.sort(key=lambda row: (row.day or "", row.saved_nano, -row.prompt_tokens))
    lost = sum(row.saved_nano < 0 for row in rows)
    note = f"{lost} of {len(rows)} groups lost money by caching: what they wrote was read too rarely"
    return Answer([*columns_for(question.by), *_COLUMNS], rows, [note] if lost else [])


def _row(cell: DayCell, question: Question) -> CacheRow:
    written = cell.cache_write_5m_tokens + cell.cache_write_1h_tokens
    return CacheRow(
        **values_of(question.by, cell.group(question.by)),
        calls=cell.calls,
        prompt_tokens=cell.input_tokens + cell.cache_read_tokens + written,
        read_tokens=cell.cache_read_tokens,
        written_tokens=written,
        saved_nano=round(Fraction(cell.cache_saved_pico, PICO_PER_NANO)),
        cost_nano=cell.cost_nano,
    )


REPORT: Final = cell_report(
    "cache",
    "What did caching save?",
    timedelta(days=30),
    ("model",),
    FromCells("days", lambda asked: tuple(asked.by), cache, _SUMS),
)
