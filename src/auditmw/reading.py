"""Reads the bytes of a provider's answer into its call, when the answer has ended."""

from __future__ import annotations

from typing import Final

import msgspec

from auditmw.call import Call
from auditmw.diagnostics import report

FIRST_HTTP_ERROR: Final = 400


def read_answer(call: Call) -> None:
    """Read what has passed: sets usage, ids and, where the answer tells it, the status. Never raises."""
    failed = call.http_status is not None and call.http_status >= FIRST_HTTP_ERROR
    if failed:
        call.status = "error"
    if call.reader is None or not call.chunks:
        return
    try:
        raw = call.chunks[0] if len(call.chunks) == 1 else b"".join(call.chunks)
        if call.content_encoding is not None:
            raw = decoded(raw, call.content_encoding)
        if failed:
            call.reader.read_error(call, _json(raw))
        elif "event" in (call.content_type or ""):
            call.reader.read_stream(call, raw)
        elif (body := _json(raw)) is not None:
            call.reader.read_response(call, body)
            call.status = call.status or "success"
    except Exception as error:  # whatever a provider sends, the entry is written
        call.audit_errors += 1
        report("auditmw.answer_not_read", error=f"{type(error).__name__}: {error}", request_id=call.request_id)


def _json(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):  # cut off, or a proxy's page
        return None


def decoded(raw: bytes, encoding: str | None) -> bytes:
    """The bytes without their content encoding; of a cut body, as far as it goes."""
    if not encoding or encoding == "identity":
        return raw
    if encoding in {"gzip", "x-gzip", "deflate"}:
        import zlib

        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(raw)  # as far as a cut stream goes
    import httpx2

    return httpx2.Response(200, headers={"content-encoding": encoding}, content=raw).content
