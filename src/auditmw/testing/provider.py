"""A stand-in for Anthropic and OpenAI: a real HTTP server on loopback that the real SDKs talk to."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Self, TypeAlias

from auditmw.errors import ConfigurationError
from auditmw.testing.answer import Answer
from auditmw.testing.behaviours import Behaviour
from auditmw.testing.http_server import HttpServer
from auditmw.testing.reply import Reply
from auditmw.testing.requests import ReceivedRequest
from auditmw.testing.routes import Desk, reply_to
from auditmw.testing.state import ProviderState

Part: TypeAlias = Behaviour | Answer
Scripted: TypeAlias = Part | Sequence[Part]
AnswerSource: TypeAlias = Answer | str | Callable[[ReceivedRequest], Answer | str]

_DEFAULT = Answer()


class StandInProvider:
    """Speaks Anthropic Messages, token counting and batches, OpenAI chat completions and responses.

    ```python
    with StandInProvider() as provider:
        client = anthropic.Anthropic(api_key="test", base_url=provider.url)
        other = openai.OpenAI(api_key="test", base_url=provider.openai_url)
    ```

    It answers the same to the same requests in the same order: ids count up, tokens are derived from the texts, a
    prompt cache remembers what was marked. Requests that the real API refuses for a missing field or key are refused.
    It runs in a thread of its own, so sync and async clients of any event loop can use it; every method may be called
    from any thread.

    - `answer`: what is said, an `Answer`, a text, or a function of the request.
    - `script` and `rule`: what goes wrong, for the next requests or for those that match.
    - `requests`: what was received, in order, bytes included (unless made with `record=False`, for long benchmarks).
    - `batch_outcomes`: by custom_id "errored", "canceled" or "expired", for requests in batches made from now on.
    """

    def __init__(self, *, answer: AnswerSource = _DEFAULT, record: bool = True) -> None:
        self.answer = answer
        self.requests: list[ReceivedRequest] = []
        self.batch_outcomes: dict[str, str] = {}
        self._record = record
        self._script: deque[Sequence[Part]] = deque()
        self._rules: list[tuple[Callable[[ReceivedRequest], bool], Sequence[Part]]] = []
        self._arrived = threading.Condition()
        self._arrivals = 0
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The `base_url` for Anthropic clients. Raises ConfigurationError before the stand-in has started."""
        if self._thread is None:
            raise ConfigurationError("the stand-in is not running: use `with StandInProvider() as provider:`")
        return self._state.url

    @property
    def openai_url(self) -> str:
        """The `base_url` for OpenAI clients; raises as `url` does."""
        return f"{self.url}/v1"

    def script(self, *requests: Scripted) -> None:
        """Say what happens to the next requests, one argument each, whatever they ask for.

        An argument is a behaviour, an `Answer`, or a sequence of them, applied from left to right; `()` is nothing
        special. A scripted request does not look at the rules.
        """
        self._script.extend(_sequence(request) for request in requests)

    def rule(self, matches: Callable[[ReceivedRequest], bool], *parts: Part) -> None:
        """Say what happens to every request that matches. The first rule that matches counts."""
        self._rules.append((matches, parts))

    def release(self) -> None:
        """Let every request that hangs now go on."""
        self._loop.call_soon_threadsafe(self._server.release)

    def wait_for_requests(self, count: int, timeout: float = 5.0) -> None:
        """Block until so many requests have arrived since the start; raises TimeoutError after `timeout` seconds."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._arrivals >= count, timeout):
                raise TimeoutError(f"{self._arrivals} of {count} requests arrived in {timeout:g} s")

    def start(self) -> Self:
        """Listen on a free port of loopback; `with` and `async with` do it for you."""
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="auditmw-stand-in", daemon=True
        )
        self._thread.start()
        started.result()
        return self

    def close(self) -> None:
        """Stop listening, cut what is still being answered, and end the thread. Closing twice is harmless."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._server = HttpServer(self._respond)
        self._state = ProviderState(await self._server.listen())
        started.set_result(None)
        await self._stop.wait()
        await self._server.close()

    def _respond(self, request: ReceivedRequest) -> Reply:
        parts = self._parts_for(request)
        answer: AnswerSource = next((part for part in parts if isinstance(part, Answer)), self.answer)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, str):
            answer = Answer(answer)
        reply = reply_to(request, Desk(answer, self._state, self.batch_outcomes))
        for part in parts:
            if not isinstance(part, Answer):
                reply = part(reply)
        with self._arrived:
            if self._record:
                self.requests.append(request)
            self._arrivals += 1
            self._arrived.notify_all()
        return reply

    def _parts_for(self, request: ReceivedRequest) -> Sequence[Part]:
        if self._script:
            return self._script.popleft()
        return next((parts for matches, parts in self._rules if matches(request)), ())


def _sequence(scripted: Scripted) -> Sequence[Part]:
    return scripted if isinstance(scripted, Sequence) else (scripted,)
