"""OpenAI chat completions: from a request's JSON to a completion, whole or as chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from auditmw.testing.answer import Answer, Tool, Turn, compose
from auditmw.testing.openai_wire import CREATED, choose_tool, prompt_tokens, require, served_tier
from auditmw.testing.reply import encode
from auditmw.testing.state import ProviderState


def completion(body: Mapping[str, Any], answer: Answer, state: ProviderState) -> tuple[dict[str, Any], Turn]:
    """The whole completion that answers a request, and the turn it was made from."""
    require(body, "model", "messages")
    turn = compose(
        answer,
        thinks=body.get("reasoning_effort") not in {None, "none"},
        tool=_tool_to_call(body),
        schema=((body.get("response_format") or {}).get("json_schema") or {}).get("schema"),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
    )
    total, cached = prompt_tokens(body["model"], [*(body.get("tools") or ()), *body["messages"]], state)
    reason = "tool_calls" if turn.tool else "length" if turn.cut_short else "stop"
    usage = {
        "prompt_tokens": total,
        "completion_tokens": turn.output_tokens,
        "total_tokens": total + turn.output_tokens,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": turn.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    choice = {"index": 0, "message": _message(turn, state), "logprobs": None}
    return {
        "id": state.next_id("chatcmpl-"),
        "object": "chat.completion",
        "created": CREATED,
        "model": answer.model or body["model"],
        "choices": [{**choice, "finish_reason": answer.stop_reason or reason}],
        "usage": {**usage, **answer.usage},
        "service_tier": served_tier(body),
        "system_fingerprint": "fp_standin",
    }, turn


def completion_events(whole: Mapping[str, Any], turn: Turn, *, include_usage: bool) -> Iterator[bytes]:
    """The same completion as chunks; usage comes in one more chunk, without choices, if it was asked for."""
    frame = {
        **{name: whole[name] for name in ("id", "created", "model", "service_tier", "system_fingerprint")},
        "object": "chat.completion.chunk",
        **({"usage": None} if include_usage else {}),
    }
    choice = whole["choices"][0]
    for delta in _deltas(choice["message"], turn):
        yield _chunk({**frame, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]})
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
    yield _chunk({**frame, "choices": [last]})
    if include_usage:
        yield _chunk({**frame, "choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def _message(turn: Turn, state: ProviderState) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(turn.text), "refusal": None, "annotations": []}
    if turn.tool is None:
        return message
    function = {"name": turn.tool.name, "arguments": "".join(turn.tool.pieces)}
    call = {"id": state.next_id("call_"), "type": "function", "function": function}
    return {**message, "content": None, "tool_calls": [call]}


def _deltas(message: Mapping[str, Any], turn: Turn) -> Iterator[dict[str, Any]]:
    if turn.tool is None:
        yield {"role": "assistant", "content": "", "refusal": None}
        for piece in turn.text:
            yield {"content": piece}
        return
    call = message["tool_calls"][0]
    opening = {"index": 0, **call, "function": {"name": turn.tool.name, "arguments": ""}}
    yield {"role": "assistant", "content": None, "tool_calls": [opening], "refusal": None}
    for piece in turn.tool.pieces:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _tool_to_call(body: Mapping[str, Any]) -> Tool | None:
    if body["messages"] and body["messages"][-1].get("role") == "tool":
        return None
    choice = body.get("tool_choice")
    functions = [tool.get("function") or {} for tool in body.get("tools") or ()]
    return choose_tool(functions, choice.get("function") if isinstance(choice, Mapping) else choice)


def _chunk(data: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % encode(data)
