"""Makes the entry of an attempt that has ended, and the bytes that the journal keeps of it. Pure."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import structs
from uuid_utils import uuid7

from auditmw.call import Call
from auditmw.canonical import canonical_text, made_safe, make_safe
from auditmw.entry import SCHEMA_VERSION, AuditEntry, Cost, Usage

MAX_ERROR_MESSAGE: Final = 1000
MOST_NESTED: Final = 500
"""Brackets in an entry's bytes; so many inside each other can still be read from any depth of the stack."""
_BEGINNING: Final = re.compile(rb'\["(?P<id>[0-9A-Za-z-]{1,64})",(?P<us>[0-9]{1,16}),')
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(AuditEntry)
_NO_USAGE: Final = Usage()


def entry_of_intent(call: Call) -> AuditEntry:
    """What a crash from here on leaves of the attempt: ids and who, what and when; never metadata or content."""
    return AuditEntry(
        request_id=call.request_id,
        timestamp_us=call.timestamp_us,
        call_id=call.call_id,
        attempt=call.attempt,
        parent_id=call.parent_id,
        kind=call.kind,
        action=call.action,
        user_id=call.user_id,
        subject=call.subject,
        session_id=call.session_id,
        tenant=call.tenant,
        app=call.app,
        app_version=call.app_version,
        host=call.host,
        provider=call.provider,
        model=call.model,
        stream=call.stream,
        status="interrupted",
        trace_id=call.trace_id,
        span_id=call.span_id,
    )


def entry_of(call: Call, logged_at_us: int) -> AuditEntry:
    """The entry of an attempt that has ended."""
    usage = call.usage if isinstance(call.usage, Usage) else _NO_USAGE
    cost = call.cost if isinstance(call.cost, Cost) else None
    metadata, changed = made_safe(call.metadata) if call.metadata else (None, 0)
    countable = isinstance(call.audit_errors, int)  # else a middleware set it to nonsense, as it may any field
    return AuditEntry(  # by place: by name it costs three times as much, and a test holds the order
        call.request_id,
        call.timestamp_us,
        SCHEMA_VERSION,
        None,
        call.call_id,
        call.attempt,
        call.parent_id,
        call.kind,
        call.action,
        logged_at_us,
        call.latency_us,
        call.ttft_us,
        call.user_id,
        call.subject,
        call.session_id,
        call.client_ip_hash,
        call.tenant,
        call.app,
        call.app_version,
        call.host,
        call.provider,
        call.model,
        call.response_model,
        call.stream,
        call.stop_reason,
        call.tool_names,
        call.service_tier,
        call.params_hash,
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.thinking_tokens,
        None if usage is _NO_USAGE else usage.complete,
        usage.raw,
        None if cost is None else cost.nano,
        None if cost is None else cost.status,
        None if cost is None else cost.source,
        None if cost is None else cost.unit_prices,
        call.system_prompt_hash,
        call.input_hash,
        call.output_hash,
        call.hash_key_id,
        call.sanitization_count,
        call.sanitization,
        call.sanitizer_rules,
        call.purpose,
        call.legal_basis,
        call.status or "interrupted",
        call.error_type,
        call.error_message[:MAX_ERROR_MESSAGE] if isinstance(call.error_message, str) else call.error_message,
        call.http_status,
        call.audit_errors + changed if countable else call.audit_errors,
        call.provider_request_id,
        call.response_id,
        call.trace_id,
        call.span_id,
        metadata or None,
        content=call.content,
    )


def encode(entry: AuditEntry) -> bytes:
    """The entry as bytes, safe for every store; whether each field is of its type is seen when they are read."""
    try:
        payload = _encoder.encode(entry)
    except Exception:  # a lone surrogate, a huge integer, a foreign object that a middleware put into a field
        return _encoder.encode(_fitted(entry))
    # an escaped NUL, or nesting that a reader might not follow; a false alarm (a text that spells it) only costs time
    nested = payload.count(b"[") + payload.count(b"{") > MOST_NESTED
    return _encoder.encode(_fitted(entry)) if nested or b"\\u0000" in payload else payload


def decode(payload: bytes) -> AuditEntry:
    """The entry of bytes that `encode` made, whatever is in them, also by an older or newer version.

    Raises:
        Exception: of some kind, for bytes that `encode` never made.
    """
    try:
        return _decoder.decode(payload)
    except Exception:  # a middleware set a field to a value of another type
        try:
            values = msgspec.json.decode(payload)
            return _fitted(_Unchecked(*values[: len(AuditEntry.__struct_fields__)]))
        except Exception:  # or to one that is written as it is, and is no JSON (`msgspec.Raw`)
            found = _BEGINNING.match(payload)
            if found is None:
                raise
            return _unreadable(found["id"].decode(), int(found["us"]))


def _unreadable(request_id: str, timestamp_us: int) -> AuditEntry:
    """What stands for an entry of which nothing but its id and its start can be read."""
    return AuditEntry(
        request_id,
        timestamp_us,
        call_id=request_id,
        status="error",
        error_type="entry_not_readable",
        error_message="a middleware set a field to what is no JSON, so that the rest of the entry was lost",
        audit_errors=1,
    )


_Unchecked: Final = msgspec.defstruct(
    "Unchecked", [(field.name, Any, None if field.required else field.default) for field in structs.fields(AuditEntry)]
)


def _fitted(entry: Any) -> AuditEntry:
    """The entry with every field safe and of its type; those that had to change are counted as its errors."""
    safe = {field.name: _fitting(field, getattr(entry, field.name)) for field in structs.fields(AuditEntry)}
    safe["audit_errors"] += sum(name != "content" and getattr(entry, name) != value for name, value in safe.items())
    return AuditEntry(**safe)


def _fitting(field: structs.FieldInfo, value: Any) -> Any:
    """The value as the field can hold it: safe, of its type, else what stands for a value that was not usable."""
    try:
        if field.name == "content":  # bytes, or what JSON writes for them
            return msgspec.convert(value, field.type)
        safe = make_safe(value)
        return msgspec.convert(safe, field.type)
    except (msgspec.ValidationError, UnicodeError):
        if field.type in (str, str | None):
            return canonical_text(safe)
        return _UNUSABLE.get(field.name, None if field.required else field.default)


_UNUSABLE: Final = {"status": "error", "timestamp_us": 0}
"""What an entry says where a field that it needs was set to nonsense."""


def id_bytes(request_id: str) -> bytes:
    """A request id as the 16 bytes by which the journal matches an intent with its outcome."""
    try:
        return bytes.fromhex(request_id.replace("-", ""))
    except (AttributeError, TypeError, ValueError):  # a middleware set it to something else
        return sha256(repr(request_id).encode()).digest()[:16]


def numbered(entry: AuditEntry, writer: str, seq: int) -> AuditEntry:
    """The entry under its writer and number."""
    return structs.replace(entry, writer=writer, seq=seq)


def lost_entry(writer: str, seq: int, now_us: int) -> AuditEntry:
    """What stands in the place of a number that is neither stored nor journalled: the loss itself is on record."""
    return numbered(control_entry(str(uuid7()), now_us, "lost"), writer, seq)


def control_entry(
    request_id: str,
    now_us: int,
    action: str,
    *,
    user_id: str | None = None,
    subject: str | None = None,
    tenant: str | None = None,
    **metadata: Any,
) -> AuditEntry:
    """An entry about the trail itself: opened, closed, dropped, recovered and so on; by whom, and about whom."""
    return AuditEntry(
        request_id=request_id,
        timestamp_us=now_us,
        call_id=request_id,
        kind="control",
        action=action,
        logged_at_us=now_us,
        user_id=user_id,
        subject=subject,
        tenant=tenant,
        metadata=make_safe(metadata) or None,
    )
