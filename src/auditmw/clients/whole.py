"""Answers that are read before the SDK sees them: errors, and those that a middleware may replace as a whole."""

from __future__ import annotations

from typing import Any, cast

import httpx2
import msgspec

from auditmw.call import Call
from auditmw.reading import decoded
from auditmw.wire import wire_json


class WholeBody(httpx2.ByteStream):
    """A body that was read ahead, for a reader who has yet to come."""

    def __init__(self, content: bytes, body: Any) -> None:
        super().__init__(content)
        self._body = body

    @property
    def elapsed(self) -> Any:
        """What httpx2 reads for `Response.elapsed`."""
        return getattr(self._body, "elapsed", None)


def is_read_ahead(response: httpx2.Response, call: Call) -> bool:
    """Whether a body must be read before the SDK sees it.

    An error's body tells its type, and the SDK does not read it before a retry; a whole answer may be replaced; and an
    event hook of the user's may have read it already.
    """
    replaceable = bool(call.chunk_hooks) and "event" not in (call.content_type or "")
    return response.is_stream_consumed or response.is_error or replaceable


async def read_ahead_async(response: httpx2.Response, call: Call) -> None:
    """Read a body into the call's chunks, and leave the response as if nobody had."""
    if response.is_stream_consumed:
        _take_content(response, call)
        return
    body = cast("httpx2.AsyncByteStream", response.stream)
    try:
        async for chunk in body:
            call.chunks.append(chunk)
    finally:
        await body.aclose()
    response.stream = WholeBody(b"".join(call.chunks), body)


def read_ahead(response: httpx2.Response, call: Call) -> None:
    """The same for a sync response."""
    if response.is_stream_consumed:
        _take_content(response, call)
        return
    body = cast("httpx2.SyncByteStream", response.stream)
    try:
        call.chunks.extend(body)
    finally:
        body.close()
    response.stream = WholeBody(b"".join(call.chunks), body)


def _take_content(response: httpx2.Response, call: Call) -> None:
    call.chunks.append(response.content)
    call.content_encoding = None


def passed_on(content: bytes, call: Call) -> bytes | None:
    """A whole body as the `on_chunk` functions want the caller to see it; None where they leave it as it is."""
    if "event" in (call.content_type or ""):
        passed = call.run.pass_on(content) + (call.run.rest() or b"")
        return None if passed == content else passed
    try:
        body = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # sound, a file: nothing that is read or replaced
        return None
    replaced = call.run.pass_on(body)
    return None if replaced is body else wire_json(replaced)


def as_passed_on(response: httpx2.Response, call: Call) -> httpx2.Response:
    """A response that was read ahead, as the `on_chunk` functions want the caller to see it."""
    if not call.chunk_hooks or response.is_error:
        return response
    passed = passed_on(decoded(b"".join(call.chunks), call.content_encoding), call)
    if passed is None:
        return response
    return httpx2.Response(
        response.status_code,
        headers=[(k, v) for k, v in response.headers.multi_items() if k not in {"content-length", "content-encoding"}],
        stream=WholeBody(passed, response.stream),
        request=response.request,
        extensions=response.extensions,
        history=response.history,
    )
