"""OCSF 1.8 for SIEMs: an entry a line as an API Activity event (class 6003) with the profile for AI operations.

The class knows only to create, read, update and delete; asking a model is none of these, so the activity is "Other",
named. What OCSF has no attribute for, money before all, stands under `unmapped` with its public name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import msgspec

from auditmw.entry import AuditEntry
from auditmw.exporters.exporter import Format, LineExporter
from auditmw.text import printable_json

VERSION: Final = "1.8.0"
CLASS: Final = 6003
CATEGORY: Final = 6
OTHER: Final = 99
PROVIDERS: Final = {"anthropic": "Anthropic", "openai": "OpenAI"}

_INFORMATIONAL, _LOW, _MEDIUM = (1, "Informational"), (2, "Low"), (3, "Medium")
_SEVERITIES: Final = {"success": _INFORMATIONAL, "error": _LOW, "blocked": _MEDIUM}
_OUTCOMES: Final = {"success": (1, "Success"), "error": (2, "Failure"), "blocked": (2, "Failure")}
_ASSISTANT: Final = (2, "Assistant")
_UNKNOWN: Final = "unknown"

_UNMAPPED: Final = (
    *("kind", "attempt", "parent_id", "subject", "client_ip_hash", "stream", "stop_reason", "tool_names"),
    *("service_tier", "params_hash", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens"),
    *("cache_write_1h_tokens", "thinking_tokens", "usage_complete", "cost_usd", "cost_status", "price_source"),
    *("system_prompt_hash", "input_hash", "output_hash", "hash_key_id", "sanitization_count", "sanitization"),
    *("purpose", "legal_basis", "ttft_ms", "audit_errors", "provider_request_id", "response_id", "metadata", "extra"),
    *("writer", "seq", "app_version"),
)


def event(entry: AuditEntry) -> dict[str, Any]:
    """The entry as an event; times and durations are milliseconds, absent attributes are left out."""
    severity_id, severity = _SEVERITIES.get(entry.status, _LOW)
    status_id, status = _OUTCOMES.get(entry.status, (OTHER, entry.status))
    fields = entry.to_dict()
    start = _ms(entry.timestamp_us)
    return _present(
        category_uid=CATEGORY,
        category_name="Application Activity",
        class_uid=CLASS,
        class_name="API Activity",
        activity_id=OTHER,
        activity_name="Invoke",
        type_uid=CLASS * 100 + OTHER,
        type_name="API Activity: Other",
        time=start,
        start_time=start,
        end_time=None if entry.latency_us is None else start + _ms(entry.latency_us),
        duration=None if entry.latency_us is None else _ms(entry.latency_us),
        severity_id=severity_id,
        severity=severity,
        status_id=status_id,
        status=status,
        status_code=entry.error_type,
        status_detail=entry.error_message,
        metadata=_metadata(entry),
        actor=_actor(entry),
        src_endpoint={"name": entry.host or entry.app or _UNKNOWN},
        api=_api(entry),
        http_response=None if entry.http_status is None else {"code": entry.http_status},
        ai_model=_model(entry),
        message_context=_message_context(entry),
        trace=None if entry.trace_id is None else _present(uid=entry.trace_id, span=_uid(entry.span_id)),
        unmapped=_present(**{name: fields[name] for name in _UNMAPPED}),
    )


def _metadata(entry: AuditEntry) -> dict[str, Any]:
    return _present(
        version=VERSION,
        product={"name": "auditmw", "vendor_name": "auditmw"},
        profiles=["ai_operation", "trace"],
        uid=entry.request_id,
        correlation_uid=entry.call_id,
        tenant_uid=entry.tenant,
        logged_time=None if entry.logged_at_us is None else _ms(entry.logged_at_us),
        sequence=entry.leaf_index,
    )


def _actor(entry: AuditEntry) -> dict[str, Any]:
    """Who called; the schema wants somebody, so a program without a name is called unknown."""
    user, session = _uid(entry.user_id), _uid(entry.session_id)
    name = entry.app or (_UNKNOWN if user is None and session is None else None)
    return _present(user=user, session=session, app_name=name)


def _api(entry: AuditEntry) -> dict[str, Any]:
    return _present(
        operation=entry.action or entry.kind,
        request={"uid": entry.request_id},
        response=_present(code=entry.http_status, error=entry.error_type, error_message=entry.error_message),
        service=None if entry.provider is None else {"name": entry.provider},
    )


def _model(entry: AuditEntry) -> dict[str, Any] | None:
    """The model that was asked; `version` is the one that answered."""
    if entry.model is None:
        return None
    provider = entry.provider or _UNKNOWN
    return _present(name=entry.model, ai_provider=PROVIDERS.get(provider, provider), version=entry.response_model)


def _message_context(entry: AuditEntry) -> dict[str, Any] | None:
    """The conversation and its tokens, those of the prompt with what was cached."""
    if entry.kind != "llm":
        return None
    prompt = (entry.input_tokens, entry.cache_read_tokens, entry.cache_write_5m_tokens, entry.cache_write_1h_tokens)
    sent = sum(known) if (known := [count for count in prompt if count is not None]) else None
    total = None if sent is None or entry.output_tokens is None else sent + entry.output_tokens
    role_id, role = _ASSISTANT
    return _present(
        uid=entry.session_id,
        ai_role_id=role_id,
        ai_role=role,
        application={"name": entry.app or _UNKNOWN},
        service=None if entry.provider is None else {"name": entry.provider},
        prompt_tokens=sent,
        completion_tokens=entry.output_tokens,
        total_tokens=total,
    )


def _uid(value: str | None) -> dict[str, str] | None:
    return None if value is None else {"uid": value}


def _present(**attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None and value != {}}


def _ms(us: int) -> int:
    return us // 1000


def _lines(entries: Sequence[AuditEntry]) -> bytes:
    return "".join(f"{printable_json(msgspec.json.encode(event(entry)).decode())}\n" for entry in entries).encode()


def _begin(file: BinaryIO, _goes_on: bool) -> LineExporter:
    return LineExporter(file, _lines)


FORMAT: Final = Format("ocsf", f"OCSF {VERSION} API Activity events, for a SIEM", appends=True, begin=_begin)
