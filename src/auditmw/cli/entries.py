"""Entries as the lines of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from rich.table import Table

from auditmw.cli.output import table
from auditmw.entry import AuditEntry
from auditmw.reports.columns import Column


class Line(msgspec.Struct, frozen=True):
    """What a table shows of an entry; `sent_tokens` are all tokens of the prompt, cached or not."""

    timestamp_us: int
    request_id: str
    user: str | None
    action: str | None
    model: str | None
    status: str
    attempt: int | None
    sent_tokens: int | None
    output_tokens: int | None
    cost_nano: int | None
    latency_us: int | None


_COLUMNS: Final = (
    (0, Column("timestamp_us", "timestamp", "time (UTC)", "time")),
    (0, Column("request_id", "request_id", "entry", "id", leads=True)),
    (0, Column("user", "user_id", "user", leads=True)),
    (125, Column("action", "action", "action")),
    (0, Column("model", "model", "model", leads=True)),
    (0, Column("status", "status", "status", "status", leads=True)),
    (110, Column("attempt", "attempt", "retry", "count")),
    (145, Column("sent_tokens", "sent_tokens", "tokens in", "count")),
    (145, Column("output_tokens", "output_tokens", "out", "count")),
    (0, Column("cost_nano", "cost_usd", "cost", "money")),
    (115, Column("latency_us", "latency_ms", "latency", "duration")),
)
"""From which width of the terminal on a column is shown, and the column."""


def entry_table(entries: Sequence[AuditEntry], width: int, title: str | None = None) -> Table:
    """Entries as a table that fits a terminal of this width."""
    columns = [column for least, column in _COLUMNS if width >= least]
    return table(columns, [_line(entry) for entry in entries], width, title)


def _line(entry: AuditEntry) -> Line:
    prompt = (entry.input_tokens, entry.cache_read_tokens, entry.cache_write_5m_tokens, entry.cache_write_1h_tokens)
    known = [count for count in prompt if count is not None]
    return Line(
        timestamp_us=entry.timestamp_us,
        request_id=entry.request_id,
        user=entry.user_id,
        action=entry.action,
        model=entry.model if entry.kind in {"llm", "request"} else f"({entry.kind})",
        status=entry.status,
        attempt=entry.attempt or None,
        sent_tokens=sum(known) if known else None,
        output_tokens=entry.output_tokens,
        cost_nano=entry.cost_nano,
        latency_us=entry.latency_us,
    )
