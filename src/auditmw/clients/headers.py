"""What an HTTP response's head tells, in one pass: looking each header up costs more than reading the whole answer."""

from __future__ import annotations

from typing import Any, Final

from auditmw.call import Call

_FIELDS: Final = {
    b"content-type": "content_type",
    b"content-encoding": "content_encoding",
    b"request-id": "provider_request_id",
    b"x-request-id": "provider_request_id",
    b"x-amzn-requestid": "provider_request_id",
}


def note_head(call: Call, http: Any) -> None:
    """Set HTTP status, content type and encoding, and the provider's id of the request, from a response's head."""
    call.http_status = http.status_code
    for name, value in http.headers.raw:
        field = _FIELDS.get(name.lower())
        if field is not None:
            setattr(call, field, value.decode("latin-1"))
