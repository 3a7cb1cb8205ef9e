"""What request headers say: looked up once, believed only in the form in which they are well formed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from auditmw.asgi.types import Scope

Header: TypeAlias = tuple[bytes, bytes]

REQUEST_ID: Final = b"x-request-id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/=@-]{0,127}")
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def only_header(scope: Scope, name: bytes) -> str | None:
    """The value of a header that was sent exactly once; None if it is absent, or there are several to choose from."""
    values = [value for key, value in scope["headers"] if key.lower() == name]
    return values[0].decode("latin-1").strip() if len(values) == 1 else None


def replace_headers(headers: Iterable[Header], new: Mapping[bytes, bytes | None]) -> list[Header]:
    """The headers with some, under lower-case names, replaced; those that are None are left out."""
    kept = [(name, value) for name, value in headers if name.lower() not in new]
    return kept + [(name, value) for name, value in new.items() if value is not None]


def is_json(content_type: str) -> bool:
    """Whether a media type is one JSON text; lines of JSON and sequences of it are not."""
    media = content_type.partition(";")[0].strip().lower()
    return media in {"application/json", "text/json"} or media.endswith("+json")


def has_body(headers: Iterable[Header]) -> bool:
    """Whether a request announces a body."""
    fields = {name.lower(): value for name, value in headers}
    return b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"


def sends_content(scope: Scope) -> bool:
    """Whether a request sends something: it is posted, however a lenient server spells that, or it has a body."""
    return scope["method"].upper() == "POST" or has_body(scope["headers"])


def given_request_id(scope: Scope) -> str | None:
    """The client's `X-Request-ID`, if it is well formed: 1 to 128 letters, digits and `._:+/=@-`."""
    given = only_header(scope, REQUEST_ID)
    return given if given is not None and _REQUEST_ID.fullmatch(given) else None


def parse_traceparent(value: str | None) -> tuple[str, str] | None:
    """Trace and span id of a W3C `traceparent`, or None where it is malformed or all zeros."""
    match = _TRACEPARENT.fullmatch(value or "")
    if match is None or match[1] == "ff" or (match[1] == "00" and match[4]):
        return None
    trace_id, span_id = match[2], match[3]
    return (trace_id, span_id) if trace_id.strip("0") and span_id.strip("0") else None
