"""The OpenAI SDK: hooked at the HTTP client that it sends every attempt with.

The SDK has no middleware. It hands each attempt, retries among them, to the `send` of an httpx2 client that users may
choose: an audited client is the same SDK client with a recording one in that place. What the recording client does not
record it leaves to the original one, whose proxies, pool, event hooks and cookies stay in use.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from auditmw.clients.answers import AnswerIndex
from auditmw.clients.attempts import Attempts
from auditmw.clients.bodies import AsyncRecordedBody, RecordedBody, status_at_end, unpacked, unpacked_async
from auditmw.clients.whole import as_passed_on, is_read_ahead, read_ahead, read_ahead_async
from auditmw.endings import status_of
from auditmw.errors import ConfigurationError, MissingExtra
from auditmw.recorder import Recorder

try:
    import httpx2
    import openai
except ImportError as missing:
    raise MissingExtra("openai", "openai") from missing

C = TypeVar("C")


def is_client(client: object) -> bool:
    """Whether this is a client of the OpenAI SDK, for whatever platform."""
    return isinstance(client, openai.OpenAI | openai.AsyncOpenAI)


def wrap(client: C, recorder: Recorder, answers: AnswerIndex) -> C:
    """A copy of the client with its every call recorded, on the same pool; an audited client is returned as it is.

    Raises:
        ConfigurationError: a subclass that the SDK cannot copy, or a client on the older httpx; the message names the
            way out.
        PipelineError: a middleware of the trail cannot run around this client's calls.
    """
    sdk: Any = client
    inner = sdk._client  # noqa: SLF001  (the one private name; the SDK has no other way to its HTTP client)
    if _records_to(inner, recorder):
        return client
    recording: RecordedClient | RecordedAsyncClient
    if isinstance(inner, httpx2.AsyncClient):
        recording = RecordedAsyncClient(inner, recorder, answers)
    elif isinstance(inner, httpx2.Client):
        recording = RecordedClient(inner, recorder, answers)
    else:
        raise ConfigurationError(
            f"{type(client).__name__} sends with {type(inner).__module__}, which auditmw cannot record: "
            "make it with an http_client of httpx2, or none"
        )
    try:
        return cast("C", sdk.copy(http_client=recording))
    except TypeError as error:
        raise ConfigurationError(
            f"{type(client).__name__} cannot be copied by the SDK ({error}): make it with "
            "http_client=trail.http_client(), or trail.sync.http_client(), instead"
        ) from error


def _records_to(sending: object, recorder: Recorder) -> bool:
    while isinstance(sending, RecordedClient | RecordedAsyncClient):
        if sending.recorder is recorder:
            return True
        sending = sending.inner
    return False


def async_http_client(recorder: Recorder, answers: AnswerIndex, **options: Any) -> httpx2.AsyncClient:
    """An HTTP client with the SDK's defaults, and these options of `httpx2.AsyncClient`, for a new async client."""
    return RecordedAsyncClient(openai.DefaultAsyncHttpx2Client(**options), recorder, answers)


def http_client(recorder: Recorder, answers: AnswerIndex, **options: Any) -> httpx2.Client:
    """The same, with the options of `httpx2.Client`, for a new sync client."""
    return RecordedClient(openai.DefaultHttpx2Client(**options), recorder, answers)


class RecordedAsyncClient(httpx2.AsyncClient):
    """Records what another async HTTP client sends."""

    def __init__(self, inner: httpx2.AsyncClient, recorder: Recorder, answers: AnswerIndex) -> None:
        recorder.pipeline.require("async", "a call of an async OpenAI client")
        super().__init__(transport=httpx2.AsyncBaseTransport(), timeout=inner.timeout)
        self.inner = inner
        self.recorder = recorder
        self._attempts = Attempts(recorder, answers)

    @property
    def is_closed(self) -> bool:
        """Whether the client that sends was closed."""
        return self.inner.is_closed

    def build_request(self, *args: Any, **kwargs: Any) -> httpx2.Request:
        """As the client that sends builds it."""
        return self.inner.build_request(*args, **kwargs)

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send one attempt, recorded if it is one that sends data out."""
        call = self._attempts.draft(request)
        if call is None:
            return await self.inner.send(request, stream=stream, **options)
        asked = call.request
        await self.recorder.begin_async(call)
        try:
            sent = request if call.request is asked else self._attempts.changed(request, call)
            response = await self.inner.send(sent, stream=True, **options)
            self._attempts.note_response(call, request, response)
            if whole := is_read_ahead(response, call):
                await read_ahead_async(response, call)
        except BaseException as error:
            self._attempts.note_failure(call, request)
            await self.recorder.end_async(call, status_of(error), error)
            raise
        if whole:
            response = as_passed_on(response, call)
            await self.recorder.end_async(call, status_at_end(call))
        else:
            response.stream = AsyncRecordedBody(unpacked_async(response, call), call, self.recorder)
        self._attempts.answered(call, response)
        if not stream:
            try:
                await response.aread()
            except BaseException:
                self._attempts.note_failure(call, request)
                await response.aclose()
                raise
        return response

    async def aclose(self) -> None:
        """Close the client that sends."""
        await self.inner.aclose()


class RecordedClient(httpx2.Client):
    """Records what another sync HTTP client sends."""

    def __init__(self, inner: httpx2.Client, recorder: Recorder, answers: AnswerIndex) -> None:
        recorder.pipeline.require("sync", "a call of a sync OpenAI client")
        super().__init__(transport=httpx2.BaseTransport(), timeout=inner.timeout)
        self.inner = inner
        self.recorder = recorder
        self._attempts = Attempts(recorder, answers)

    @property
    def is_closed(self) -> bool:
        """Whether the client that sends was closed."""
        return self.inner.is_closed

    def build_request(self, *args: Any, **kwargs: Any) -> httpx2.Request:
        """As the client that sends builds it."""
        return self.inner.build_request(*args, **kwargs)

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send one attempt, recorded if it is one that sends data out."""
        call = self._attempts.draft(request)
        if call is None:
            return self.inner.send(request, stream=stream, **options)
        asked = call.request
        self.recorder.begin(call)
        try:
            sent = request if call.request is asked else self._attempts.changed(request, call)
            response = self.inner.send(sent, stream=True, **options)
            self._attempts.note_response(call, request, response)
            if whole := is_read_ahead(response, call):
                read_ahead(response, call)
        except BaseException as error:
            self._attempts.note_failure(call, request)
            self.recorder.end(call, status_of(error), error)
            raise
        if whole:
            response = as_passed_on(response, call)
            self.recorder.end(call, status_at_end(call))
        else:
            response.stream = RecordedBody(unpacked(response, call), call, self.recorder)
        self._attempts.answered(call, response)
        if not stream:
            try:
                response.read()
            except BaseException:
                self._attempts.note_failure(call, request)
                response.close()
                raise
        return response

    def close(self) -> None:
        """Close the client that sends."""
        self.inner.close()
