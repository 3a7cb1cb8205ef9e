"""Entries as OpenTelemetry log records, by the semantic conventions for generative AI.

The names of attributes are data (`genai_semconv.json`), since the conventions are in development and rename them: a
pinned version, of which everything that it has no name for is called `auditmw.*`. Token counts are inclusive there: an
entry's uncached, cached and cache-writing tokens together are `gen_ai.usage.input_tokens`.

A record stands for one attempt and carries the ids of the span that was current when it was made. What belongs to a
person or may hold content (see `FIELD_CLASSES`) is left out unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec

from auditmw.canonical import canonical_text
from auditmw.entry import FIELD_CLASSES, AuditEntry
from auditmw.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from opentelemetry._logs import Logger

SCOPE: Final = "auditmw"
_SEVERITIES: Final = {"success": (9, "INFO"), "error": (17, "ERROR")}
_WARNING: Final = (13, "WARN")
_IN_THE_RECORD: Final = frozenset({"timestamp", "logged_at", "trace_id", "span_id"})
_TOLD_OTHERWISE: Final = frozenset({"input_tokens", "ttft_ms", "stop_reason"})
"""Of generating calls, the conventions tell these in another unit or sum."""


class Names(msgspec.Struct, frozen=True):
    """What a version of the conventions calls things."""

    version: str
    event: str
    operation: dict[str, str]
    attributes: dict[str, str]
    vendor_attributes: dict[str, dict[str, str]]


@cache
def names() -> Names:
    """The names of the pinned version."""
    text = resources.files("auditmw.exporters").joinpath("genai_semconv.json").read_bytes()
    return msgspec.json.decode(text, type=Names)


def attributes(entry: AuditEntry, include: Iterable[str] = ()) -> dict[str, Any]:
    """The attributes of an entry: text, integers, seconds as floats, booleans and lists of text.

    Args:
        entry: any entry; those that generate nothing have `auditmw.*` attributes only.
        include: classes of fields to add: `who`, `digests`, `error`, `metadata`.

    Raises:
        ConfigurationError: `include` names no class of fields.
    """
    left_out = set(FIELD_CLASSES) - set(include)
    if unknown := set(include) - set(FIELD_CLASSES):
        raise ConfigurationError(f"include names {sorted(unknown)}: use some of {', '.join(FIELD_CLASSES)}")
    hidden = _IN_THE_RECORD.union(*(FIELD_CLASSES[name] for name in left_out))
    fields = {k: v for k, v in entry.to_dict().items() if v is not None and k not in hidden}
    if entry.kind != "llm":
        return {f"auditmw.{name}": _value(value) for name, value in fields.items()}
    fields = {k: v for k, v in fields.items() if k not in _TOLD_OTHERWISE} | _derived(entry)
    known = names()
    called = known.attributes | known.vendor_attributes.get(entry.provider or "", {})
    told = {called.get(name, f"auditmw.{name}"): _value(value) for name, value in fields.items()}
    return known.operation | told


def otlp_json(entries: Iterable[AuditEntry], include: Iterable[str] = ()) -> bytes:
    """Entries as one OTLP/JSON message, as collectors read it from a file: one line for each call of this function."""
    include = tuple(include)
    scope = {"scope": {"name": SCOPE}, "logRecords": [_record(entry, include) for entry in entries]}
    return msgspec.json.encode({"resourceLogs": [{"scopeLogs": [scope]}]})


def emit(entry: AuditEntry, logger: Logger | None = None, include: Iterable[str] = ()) -> None:
    """Give an entry to a logger of OpenTelemetry, by default one of the application's own logger provider.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
    except ImportError as missing:
        raise MissingExtra("opentelemetry-api", "otel") from missing
    number, text = _SEVERITIES.get(entry.status, _WARNING)
    context = None
    if entry.trace_id is not None and entry.span_id is not None:
        ids = trace.SpanContext(int(entry.trace_id, 16), int(entry.span_id, 16), is_remote=True)
        context = trace.set_span_in_context(trace.NonRecordingSpan(ids))
    (logger or get_logger(SCOPE)).emit(
        LogRecord(
            timestamp=entry.timestamp_us * 1000,
            observed_timestamp=_observed_us(entry) * 1000,
            context=context,
            severity_number=SeverityNumber(number),
            severity_text=text,
            event_name=_event_name(entry),
            attributes=attributes(entry, include),
        )
    )


def _record(entry: AuditEntry, include: Iterable[str]) -> dict[str, Any]:
    number, text = _SEVERITIES.get(entry.status, _WARNING)
    record = {
        "timeUnixNano": str(entry.timestamp_us * 1000),
        "observedTimeUnixNano": str(_observed_us(entry) * 1000),
        "severityNumber": number,
        "severityText": text,
        "eventName": _event_name(entry),
        "traceId": entry.trace_id,
        "spanId": entry.span_id,
        "attributes": [{"key": k, "value": _any_value(v)} for k, v in attributes(entry, include).items()],
    }
    return {name: value for name, value in record.items() if value is not None}


def _event_name(entry: AuditEntry) -> str:
    return names().event if entry.kind == "llm" else f"auditmw.{entry.kind}"


def _observed_us(entry: AuditEntry) -> int:
    return entry.timestamp_us if entry.logged_at_us is None else entry.logged_at_us


def _derived(entry: AuditEntry) -> dict[str, Any]:
    """What the conventions count or spell otherwise than an entry does."""
    written = [entry.cache_write_5m_tokens, entry.cache_write_1h_tokens]
    cached = [entry.cache_read_tokens, *written]
    told = {
        "prompt_tokens": None if entry.input_tokens is None else entry.input_tokens + sum(n or 0 for n in cached),
        "cache_write_tokens": None if written == [None, None] else sum(n or 0 for n in written),
        "time_to_first_chunk": None if entry.ttft_us is None else entry.ttft_us / 1_000_000,
        "finish_reasons": None if entry.stop_reason is None else [entry.stop_reason],
        "error": None if entry.status == "success" else entry.error_type or entry.status,
        "resend_count": entry.attempt or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _value(value: Any) -> Any:
    return canonical_text(value) if isinstance(value, dict) else value


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any_value(item) for item in value]}}
    return {"stringValue": value}
