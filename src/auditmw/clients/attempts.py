"""One attempt as the OpenAI SDK's HTTP client sees it: what it asks for, which call it belongs to, what came back."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import httpx2
import msgspec

from auditmw.call import Call
from auditmw.clients.answers import AnswerIndex
from auditmw.providers import READERS, for_path
from auditmw.recorder import Recorder
from auditmw.wire import wire_json

AZURE: Final = "azure.ai.openai"
RETRIES: Final = "x-stainless-retry-count"
"""The header in which the SDK counts the retries of a call."""


class Failure(NamedTuple):
    """An attempt that the SDK may repeat."""

    call_id: str | None
    attempt: int
    retries: int
    content: int | None
    """A hash of the body, which is the same in every attempt of a call."""


_last_failure: Final[ContextVar[Failure | None]] = ContextVar("auditmw_openai_failure", default=None)
"""The SDK repeats an attempt on the task or thread that made it, so its context tells which call a retry belongs to."""


class Attempts:
    """Makes calls of requests, and reads what an HTTP client tells of their answers."""

    def __init__(self, recorder: Recorder, answers: AnswerIndex) -> None:
        self._recorder = recorder
        self._answers = answers

    def draft(self, request: httpx2.Request) -> Call | None:
        """The call of a request that sends data out; None for one that only fetches or deletes."""
        if request.method != "POST":
            return None
        url = request.url
        content = _content(request)
        call_id, attempt = _whose(request, content)
        reader = for_path(url.path)
        call = self._recorder.draft(
            kind="request" if reader is None else "llm",
            host=url.host,
            call_id=call_id,
            attempt=attempt,
            request=_json(request, content),
            reader=reader or READERS["openai_chat"],
        )
        if reader is None:
            call.action = call.action or url.path.rpartition("/v1/")[2].strip("/").replace("/", ".")
        call.reader.read_request(call)
        call.provider = _provider(url.host, call)
        call.before_seal(self._answers.add_ids)
        self._answers.add(request, call)
        return call

    def changed(self, request: httpx2.Request, call: Call) -> httpx2.Request:
        """The request with the body that a middleware put in place of the caller's."""
        sent = httpx2.Request(
            request.method,
            request.url,
            headers=[(name, value) for name, value in request.headers.multi_items() if name != "content-length"],
            content=wire_json(call.request),
            extensions=request.extensions,
        )
        self._answers.add(sent, call)
        return sent

    def note_failure(self, call: Call, request: httpx2.Request) -> None:
        """Remember an attempt that failed, in case that the SDK repeats it."""
        _last_failure.set(Failure(call.call_id, call.attempt, _retries(request), hash(_content(request))))

    def note_response(self, call: Call, request: httpx2.Request, response: httpx2.Response) -> None:
        """Read status and headers of an answer whose body is still to come."""
        headers = response.headers
        call.http_status = response.status_code
        call.content_type = headers.get("content-type")
        call.content_encoding = headers.get("content-encoding")
        call.provider_request_id = headers.get("x-request-id") or headers.get("apim-request-id")
        if response.is_error:
            self.note_failure(call, request)
        if call.kind == "request" and "json" not in (call.content_type or ""):
            call.reader = None

    def answered(self, call: Call, response: httpx2.Response) -> None:
        """Remember the response that the SDK gets, so that its entry can be found."""
        self._answers.add(response, call)


def _provider(host: str, call: Call) -> str | None:
    """Who is asked: many servers speak OpenAI's formats, so elsewhere only the model tells."""
    if host.endswith(".azure.com"):
        return AZURE
    provider: str | None = "openai" if host.endswith("openai.com") else call.reader.vendor(call.model)
    return provider


def _whose(request: httpx2.Request, content: bytes | None) -> tuple[str | None, int]:
    retries = _retries(request)
    if retries == 0:
        return None, 0
    last = _last_failure.get()
    if last is not None and last.retries == retries - 1 and last.content == hash(content):
        return last.call_id, last.attempt + 1
    return None, retries


def _retries(request: httpx2.Request) -> int:
    told = request.headers.get(RETRIES, "0")
    return int(told) if told.isdecimal() else 0


def _content(request: httpx2.Request) -> bytes | None:
    """The body, or None where it is read from a file or generator while it is sent."""
    try:
        return request.content
    except httpx2.RequestNotRead:
        return None


def _json(request: httpx2.Request, content: bytes | None) -> Any:
    if not content or "json" not in request.headers.get("content-type", ""):
        return None
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        try:
            return json.loads(content)  # lone surrogates, which only the standard library takes
        except ValueError:
            return None
