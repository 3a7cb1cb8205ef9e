"""An entry's public names in sections, in the order in which people read them."""

from __future__ import annotations

from typing import Final

SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "identity": ("request_id", "call_id", "attempt", "parent_id", "kind", "action"),
    "time": ("timestamp", "logged_at", "stored_at", "latency_ms", "ttft_ms"),
    "who and where": (
        *("user_id", "subject", "session_id", "client_ip_hash", "tenant", "app", "app_version", "host"),
        *("purpose", "legal_basis"),
    ),
    "what": (
        *("provider", "model", "response_model", "stream", "stop_reason", "tool_names", "service_tier"),
        *("provider_request_id", "response_id", "trace_id", "span_id"),
    ),
    "tokens": (
        *("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
        *("output_tokens", "thinking_tokens", "usage_complete"),
    ),
    "money": ("cost_usd", "cost_status", "price_source", "unit_prices"),
    "outcome": ("status", "error_type", "error_message", "http_status", "audit_errors"),
    "removed before sending": ("sanitization_count", "sanitization", "sanitizer_rules"),
    "digests": ("system_prompt_hash", "input_hash", "output_hash", "params_hash", "hash_key_id"),
    "evidence": ("v", "writer", "seq", "leaf_index"),
    "metadata": ("metadata", "extra"),
}
