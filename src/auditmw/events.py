"""The trail in the application's own log: entries as structlog events, and request ids on its log lines.

Events tell ids, counts and outcomes. They hold nothing of a prompt or an answer, no error message and nobody's name:
a log outlives what is erased from a trail.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from auditmw.context import current_request_ids
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry

KEY: Final = "audit_request_ids"
MOST_IDS: Final = 20
"""Of a scope in which more entries were made, the newest are named."""
FIELDS: Final = (
    "request_id",
    "call_id",
    "attempt",
    "parent_id",
    "kind",
    "action",
    "provider",
    "model",
    "response_model",
    "stream",
    "status",
    "error_type",
    "http_status",
    "stop_reason",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
    "usage_complete",
    "cost_status",
    "latency_ms",
    "ttft_ms",
    "sanitization_count",
    "audit_errors",
    "provider_request_id",
    "response_id",
    "trace_id",
    "span_id",
)


def log_entry(entry: AuditEntry) -> None:
    """Log a sealed entry as the structlog event `auditmw.entry`; absent fields are left out."""
    fields = {name: value for name in FIELDS if (value := getattr(entry, name)) is not None}
    if entry.cost_text is not None:
        fields["cost_usd"] = entry.cost_text
    report("auditmw.entry", "info" if entry.status == "success" else "warning", **fields)


def add_request_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: adds `audit_request_ids` to what the application logs while a call or scope is open.

    They are the audited function or block that is running, and the entries made inside it, or inside the enclosing
    `trail.context(...)`, so far.
    """
    if ids := current_request_ids():
        event.setdefault(KEY, ids[-MOST_IDS:])
    return event
