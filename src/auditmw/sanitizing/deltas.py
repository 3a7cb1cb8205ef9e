"""Where the events of a stream hold the parts of a text, in the formats of Anthropic and OpenAI."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Any, NamedTuple

Event = dict[str, Any]
Ends = Callable[[tuple[Hashable, ...]], bool]
"""Whether the text of this id has ended."""


class Part(NamedTuple):
    """A part of a text that an event brings."""

    text_id: tuple[Hashable, ...]
    """Which text it continues."""
    text: str
    in_json: bool
    owner: dict[str, Any]
    """Where the part lies in the event,"""
    field: str
    """and under which name."""
    alone: Callable[[str], Event]
    """Makes an event of the same kind that brings this part only."""


def parts(event: Event) -> Iterator[Part]:
    """The parts of texts in an event."""
    kind = _kind(event)
    if kind == "content_block_delta":
        yield from _message_parts(event)
    elif isinstance(event.get("choices"), list):
        for choice in event["choices"]:
            if isinstance(choice, dict):
                yield from _choice_parts(event, choice)
    elif (
        isinstance(event.get("delta"), str)
        and isinstance(kind, str)
        and kind.endswith(".delta")
        and not is_signed(event)
    ):
        key = (kind.removesuffix(".delta"), _number(event, "output_index"), _number(event, "content_index"))
        yield Part(key, event["delta"], "arguments" in kind, event, "delta", lambda text: {**event, "delta": text})


def ended(event: Event) -> Ends | None:
    """Which texts, by their ids, are complete before this event; None if it completes none."""
    kind = _kind(event)
    if kind == "content_block_stop":
        return lambda text_id: text_id[0] == _number(event, "index")
    if kind in {
        "message_delta",
        "message_stop",
        "error",
        "response.completed",
        "response.incomplete",
        "response.failed",
    }:
        return lambda _: True
    if kind.endswith(".done"):
        key = (kind.removesuffix(".done"), _number(event, "output_index"), _number(event, "content_index"))
        return lambda text_id: text_id == key
    if isinstance(event.get("choices"), list):
        done = {
            _number(choice, "index")
            for choice in event["choices"]
            if isinstance(choice, dict) and choice.get("finish_reason") is not None
        }
        return (lambda text_id: text_id[0] in done) if done else None
    return None


def is_signed(event: Event) -> bool:
    """Whether the event brings a part of the model's thinking, which must come back as it was signed."""
    kind = _kind(event)
    delta = event.get("delta")
    if kind == "content_block_delta":
        return isinstance(delta, dict) and delta.get("type") in {"thinking_delta", "signature_delta"}
    return "reasoning" in kind


def _kind(event: Event) -> str:
    kind = event.get("type")
    return kind if isinstance(kind, str) else ""


def _number(owner: dict[str, Any], field: str) -> int | None:
    number = owner.get(field)
    return number if isinstance(number, int) else None


def _message_parts(event: Event) -> Iterator[Part]:
    delta = event.get("delta")
    if not isinstance(delta, dict):
        return
    field = {"text_delta": "text", "input_json_delta": "partial_json"}.get(_kind(delta))
    if field is not None and isinstance(delta.get(field), str):
        yield Part(
            (_number(event, "index"), field),
            delta[field],
            field == "partial_json",
            delta,
            field,
            lambda text: {**event, "delta": {**delta, field: text}},
        )


def _choice_parts(event: Event, choice: dict[str, Any]) -> Iterator[Part]:
    index = _number(choice, "index")
    for path, owner, field in _choice_texts(choice):
        if isinstance(owner.get(field), str):
            yield Part(
                (index, *path),
                owner[field],
                field == "arguments",
                owner,
                field,
                partial(_chunk, event, index, path),
            )


def _choice_texts(choice: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], str]]:
    """The way to each text of a choice, the object at its end, and the field there."""
    yield ("text",), choice, "text"
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return
    for field in ("content", "refusal", "reasoning_content", "reasoning"):
        yield ("delta", field), delta, field
    if isinstance(delta.get("audio"), dict):
        yield ("delta", "audio", "transcript"), delta["audio"], "transcript"
    if isinstance(delta.get("function_call"), dict):
        yield ("delta", "function_call", "arguments"), delta["function_call"], "arguments"
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        for holder, field in (("function", "arguments"), ("custom", "input")):
            if isinstance(call, dict) and isinstance(call.get(holder), dict):
                yield ("delta", "tool_calls", _number(call, "index"), holder, field), call[holder], field


def _chunk(event: Event, index: Any, path: tuple[Any, ...], text: str) -> Event:
    inner: Any = text
    for step in reversed(path):
        inner = {step: inner} if isinstance(step, str) else [{"index": step, **inner}]
    return {**event, "choices": [{"index": index, "finish_reason": None, **inner}], "usage": None}
