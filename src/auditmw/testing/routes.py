"""Which wire format answers which request, and what the provider refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from auditmw.testing.answer import Answer
from auditmw.testing.anthropic_batches import batch_results, create_batch, retrieve_batch
from auditmw.testing.anthropic_wire import AnthropicErrors, count_message_tokens, message, message_events
from auditmw.testing.openai_chat_wire import completion, completion_events
from auditmw.testing.openai_responses_wire import response, response_events
from auditmw.testing.openai_wire import OpenAIErrors
from auditmw.testing.reply import ErrorFormat, Reply, WireError, encode
from auditmw.testing.requests import ReceivedRequest
from auditmw.testing.state import ProviderState

_ANTHROPIC = AnthropicErrors()
_OPENAI = OpenAIErrors()
_BATCHES = "/v1/messages/batches"
_JSON = "application/json"
_JSON_LINES = "application/x-jsonl"
_EVENTS = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Desk:
    """What an answer is made from, besides the request."""

    answer: Answer
    state: ProviderState
    batch_outcomes: Mapping[str, str]


def reply_to(request: ReceivedRequest, desk: Desk) -> Reply:
    """The provider's reply, good or refusing."""
    errors: ErrorFormat = _OPENAI if request.route in _OPENAI_ROUTES else _ANTHROPIC
    request_id = desk.state.next_id("req_")
    headers = {"request-id": request_id} if errors is _ANTHROPIC else {"x-request-id": request_id}
    try:
        if not request.headers.get("x-api-key") and not request.headers.get("authorization"):
            raise WireError(401, "authentication_error", "Give the client an API key, any will do.")
        content_type, body = _answer(request, desk)
    except WireError as error:
        refusal = errors.body(error.error_type, str(error), request_id)
        return Reply(error.status, {**headers, "content-type": _JSON}, [refusal], errors, request_id)
    return Reply(200, {**headers, "content-type": content_type}, body, errors, request_id)


def _answer(request: ReceivedRequest, desk: Desk) -> tuple[str, Iterable[bytes]]:
    if request.method == "GET" and request.route.startswith(f"{_BATCHES}/"):
        batch_id, _, rest = request.route.removeprefix(f"{_BATCHES}/").partition("/")
        if rest == "results":
            return _JSON_LINES, batch_results(batch_id, desk.state)
        return _JSON, [encode(retrieve_batch(batch_id, desk.state))]
    route = _ROUTES.get(request.route) if request.method == "POST" else None
    if route is None:
        raise WireError(404, "not_found_error", f"The stand-in does not serve {request.method} {request.route}.")
    try:
        body = msgspec.json.decode(request.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(400, "invalid_request_error", f"The request body is no valid JSON object: {error}") from error
    return route(body, desk)


def _messages(body: Mapping[str, Any], desk: Desk) -> tuple[str, Iterable[bytes]]:
    whole, turn = message(body, desk.answer, desk.state)
    return (_EVENTS, message_events(whole, turn)) if body.get("stream") else (_JSON, [encode(whole)])


def _count(body: Mapping[str, Any], _: Desk) -> tuple[str, Iterable[bytes]]:
    return _JSON, [encode(count_message_tokens(body))]


def _batch(body: Mapping[str, Any], desk: Desk) -> tuple[str, Iterable[bytes]]:
    return _JSON, [encode(create_batch(body, desk.answer, desk.state, desk.batch_outcomes))]


def _chat(body: Mapping[str, Any], desk: Desk) -> tuple[str, Iterable[bytes]]:
    whole, turn = completion(body, desk.answer, desk.state)
    if not body.get("stream"):
        return _JSON, [encode(whole)]
    include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    return _EVENTS, completion_events(whole, turn, include_usage=include_usage)


def _responses(body: Mapping[str, Any], desk: Desk) -> tuple[str, Iterable[bytes]]:
    whole, turn = response(body, desk.answer, desk.state)
    return (_EVENTS, response_events(whole, turn)) if body.get("stream") else (_JSON, [encode(whole)])


_OPENAI_ROUTES = {"/v1/chat/completions": _chat, "/v1/responses": _responses}
_ROUTES = {
    "/v1/messages": _messages,
    "/v1/messages/count_tokens": _count,
    _BATCHES: _batch,
    **_OPENAI_ROUTES,
}
