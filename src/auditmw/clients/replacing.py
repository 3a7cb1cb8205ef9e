"""Gives the caller an answer that a middleware replaced on its way, in place of the provider's."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx2

from auditmw.call import Call
from auditmw.clients.whole import passed_on


def replace_body(response: Any, call: Call) -> Any:
    """Have `on_chunk` functions see, and perhaps replace, a whole answer."""
    if response.http_response.is_error:
        return response
    replaced = passed_on(response.http_response.content, call)
    if replaced is not None:
        original: httpx2.Response = response.http_response
        headers = [(k, v) for k, v in original.headers.items() if k not in {"content-length", "content-encoding"}]
        response.http_response = httpx2.Response(
            original.status_code,
            headers=headers,
            content=replaced,
            request=original.request,
            extensions=original.extensions,
        )
        with suppress(RuntimeError):  # an answer that a test double has made was never timed
            response.http_response.elapsed = original.elapsed
    return response
