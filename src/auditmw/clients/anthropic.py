"""The Anthropic SDK: hooked by its own client middleware, once per HTTP attempt, inside its retry loop."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from auditmw.call import Call
from auditmw.clients.answers import AnswerIndex
from auditmw.clients.batches import expand_batch_results
from auditmw.clients.bodies import AsyncRecordedBody, RecordedBody, status_at_end, unpacked, unpacked_async
from auditmw.clients.headers import note_head
from auditmw.clients.replacing import replace_body
from auditmw.endings import status_of
from auditmw.errors import ConfigurationError, MissingExtra
from auditmw.pipeline import Form
from auditmw.providers import READERS
from auditmw.recorder import Recorder

try:
    import httpx2
    from anthropic import APIRequest, Middleware
except ImportError as missing:  # there was no middleware before version 2
    raise MissingExtra("anthropic (a version with client middleware)", "anthropic") from missing

C = TypeVar("C")
MESSAGES: Final = "/v1/messages"
RETRIES_REMEMBERED: Final = 10_000
reader: Final = READERS["anthropic"]


def is_client(client: object) -> bool:
    """Whether this is a client of the Anthropic SDK, on whatever platform."""
    return any(base.__module__.partition(".")[0] == "anthropic" for base in type(client).__mro__) and hasattr(
        client, "with_middleware"
    )


def wrap(client: C, recorder: Recorder, answers: AnswerIndex) -> C:
    """The same client with its every call recorded; a client that is wrapped already is returned as it is.

    Raises:
        ConfigurationError: a subclass that the SDK cannot copy; the message names the way out.
        PipelineError: a middleware of the trail cannot run around this client's calls.
    """
    sdk: Any = client
    if any(isinstance(m, AnthropicMiddleware) and m.records_to(recorder) for m in sdk.middleware):
        return client
    form: Form = "async" if inspect.iscoroutinefunction(sdk.close) else "sync"
    recorder.pipeline.require(form, f"a call of {type(client).__name__}")
    try:
        wrapped: C = sdk.with_middleware(AnthropicMiddleware(recorder, answers))
    except TypeError as error:
        raise ConfigurationError(
            f"{type(client).__name__} cannot be copied by the SDK ({error}): make it with "
            "middleware=[trail.anthropic_middleware()] instead"
        ) from error
    return wrapped


class AnthropicMiddleware(Middleware):
    """Records every attempt of an Anthropic client, sync or async."""

    def __init__(self, recorder: Recorder, answers: AnswerIndex) -> None:
        self._recorder = recorder
        self._answers = answers
        self._retried: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._results: OrderedDict[str, None] = OrderedDict()

    def records_to(self, recorder: Recorder) -> bool:
        """Whether this middleware records to that trail."""
        return self._recorder is recorder

    async def handle_async(self, request: APIRequest, call_next: Any) -> Any:
        """Record one async attempt."""
        call = self._draft(request)
        if call is None:
            return await call_next(request)
        await self._recorder.begin_async(call)
        try:
            response = await call_next(self._as_sent(request, call))
            http: httpx2.Response = response.http_response
            if http.is_error and not http.is_closed:
                with suppress(httpx2.HTTPError):  # without an audit nobody would have read it, nor failed here
                    await http.aread()  # the body of a retried attempt is read nowhere else, and holds the error's type
        except BaseException as error:
            self._note_retry(request, call)
            self._answers.add(error, call)
            await self._recorder.end_async(call, status_of(error), error)
            raise
        self._note_response(request, call, http)
        if http.is_closed or http.is_stream_consumed:
            response = self._passed_on(response, call)
            await self._recorder.end_async(call, status_at_end(call))
            self._answers.add_ids(call)
            return response
        call.before_seal(self._answers.add_ids)
        http.stream = AsyncRecordedBody(unpacked_async(http, call), call, self._recorder)
        return response

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        """Record one sync attempt."""
        call = self._draft(request)
        if call is None:
            return call_next(request)
        self._recorder.begin(call)
        try:
            response = call_next(self._as_sent(request, call))
            http: httpx2.Response = response.http_response
            if http.is_error and not http.is_closed:
                with suppress(httpx2.HTTPError):  # as above
                    http.read()
        except BaseException as error:
            self._note_retry(request, call)
            self._answers.add(error, call)
            self._recorder.end(call, status_of(error), error)
            raise
        self._note_response(request, call, http)
        if http.is_closed or http.is_stream_consumed:
            response = self._passed_on(response, call)
            self._recorder.end(call, status_at_end(call))
            self._answers.add_ids(call)
            return response
        call.before_seal(self._answers.add_ids)
        http.stream = RecordedBody(unpacked(http, call), call, self._recorder)
        return response

    def _draft(self, request: APIRequest) -> Call | None:
        path = request.url.partition("?")[0]
        if "://" in path:  # results of batches are asked for at an absolute URL
            path = urlsplit(path).path
        if path.startswith(f"{MESSAGES}/batches/") and path.endswith("/results"):
            call = self._recorder.draft(kind="request", provider=reader.name, action="batches.results")
            call.before_seal(lambda call: expand_batch_results(call, path, self._recorder, self._results))
            return call
        if request.method.lower() != "post":
            return None
        call_id, attempt = self._retried.pop(request.options.idempotency_key or "", (None, request.retries_taken))
        call = self._recorder.draft(
            kind="llm" if path == MESSAGES else "request",
            provider=reader.name,
            call_id=call_id,
            attempt=attempt,
            request=None if request.options.files else request.json,  # a form, of which its files are never read
            reader=reader,
        )
        if call.kind == "request":
            call.action = call.action or path.removeprefix("/v1/").replace("/", ".")
        reader.read_request(call)
        return call

    def _as_sent(self, request: APIRequest, call: Call) -> APIRequest:
        return request if call.request is None or call.request is request.json else request.copy(body=call.request)

    def _note_retry(self, request: APIRequest, call: Call) -> None:
        key = request.options.idempotency_key
        if key is None or call.call_id is None:
            return
        self._retried[key] = (call.call_id, call.attempt + 1)
        while len(self._retried) > RETRIES_REMEMBERED:
            self._retried.popitem(last=False)

    def _passed_on(self, response: Any, call: Call) -> Any:
        """Keep the body of an answer that the SDK has read; the answer as the caller shall see it."""
        call.ended_ns = self._recorder.clock.monotonic_ns()
        call.content_encoding = None  # the SDK has unpacked it
        with suppress(httpx2.ResponseNotRead):  # cut off while it was read
            call.chunks.append(response.http_response.content)
        if call.chunk_hooks:
            response = replace_body(response, call)
            self._answers.mark(response.http_response, call)
        return response

    def _note_response(self, request: APIRequest, call: Call, http: httpx2.Response) -> None:
        note_head(call, http)
        call.host = http.url.host if call.host is None and _has_request(http) else call.host
        if http.is_error:
            self._note_retry(request, call)
        self._answers.mark(http, call)


def _has_request(http: httpx2.Response) -> bool:
    try:
        return http.request is not None
    except RuntimeError:  # an answer made by a test double
        return False
