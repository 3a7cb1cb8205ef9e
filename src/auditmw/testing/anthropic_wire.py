"""Anthropic Messages: from a request's JSON to a message, whole or as server-sent events."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from auditmw.testing.answer import Answer, Tool, Turn, compose
from auditmw.testing.prompt import Part, PromptTokens, count_parts
from auditmw.testing.reply import WireError, encode, event
from auditmw.testing.state import ProviderState

_PLACEHOLDER_OUTPUT_TOKENS = 1
_ONLY_AT_THE_END = {"output_tokens", "output_tokens_details", "server_tool_use", "iterations"}
_CUMULATIVE = {"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", *_ONLY_AT_THE_END}


class AnthropicErrors:
    """Errors as the Anthropic API writes them."""

    def body(self, error_type: str, message: str, request_id: str) -> bytes:
        """The body of an answer with an HTTP error status."""
        return encode(error_object(error_type, message, request_id))

    def event(self, error_type: str, message: str, request_id: str) -> bytes:
        """An error in the middle of a stream."""
        return event("error", error_object(error_type, message, request_id))


def error_object(error_type: str, message: str, request_id: str) -> dict[str, Any]:
    """An error as it stands in bodies, events and batch results."""
    return {"type": "error", "error": {"type": error_type, "message": message}, "request_id": request_id}


def count_message_tokens(body: Mapping[str, Any]) -> dict[str, int]:
    """The answer of count_tokens."""
    _require(body, "model", "messages")
    return {"input_tokens": count_parts(_parts(body))}


def message(
    body: Mapping[str, Any], answer: Answer, state: ProviderState, *, tier: str = "standard"
) -> tuple[dict[str, Any], Turn]:
    """The whole message that answers a request, and the turn it was made from."""
    _require(body, "model", "max_tokens", "messages")
    turn = compose(
        answer,
        thinks=_thinks(body),
        tool=_tool_to_call(body),
        schema=_schema(body),
        max_tokens=body["max_tokens"],
    )
    prompt = state.cache.count(body["model"], _parts(body))
    reason = "tool_use" if turn.tool else "max_tokens" if turn.cut_short or body["max_tokens"] == 0 else "end_turn"
    return {
        "id": state.next_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": answer.model or body["model"],
        "content": _content(body, turn, state),
        "stop_reason": answer.stop_reason or reason,
        "stop_sequence": None,
        "usage": {**_usage(body, prompt, turn, tier), **answer.usage},
    }, turn


def message_events(whole: Mapping[str, Any], turn: Turn) -> Iterator[bytes]:
    """The same message as a stream: usage is a placeholder at the start and cumulative at the end."""
    usage = whole["usage"]
    at_start = {name: value for name, value in usage.items() if name not in _ONLY_AT_THE_END}
    at_start["output_tokens"] = _PLACEHOLDER_OUTPUT_TOKENS
    opening = {**whole, "content": [], "stop_reason": None, "usage": at_start}
    yield event("message_start", {"type": "message_start", "message": opening})
    for index, block in enumerate(whole["content"]):
        empty, deltas = _as_deltas(block, turn)
        yield event("content_block_start", {"type": "content_block_start", "index": index, "content_block": empty})
        if index == 0:
            yield event("ping", {"type": "ping"})
        for delta in deltas:
            yield event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
        yield event("content_block_stop", {"type": "content_block_stop", "index": index})
    closing = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    at_end = {name: value for name, value in usage.items() if name in _CUMULATIVE}
    yield event("message_delta", {"type": "message_delta", "delta": closing, "usage": at_end})
    yield event("message_stop", {"type": "message_stop"})


def _require(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if name not in body:
            raise WireError(400, "invalid_request_error", f"{name}: Field required")


def _thinks(body: Mapping[str, Any]) -> bool:
    asked = (body.get("thinking") or {}).get("type", "disabled")
    return bool(body["max_tokens"] and asked != "disabled")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return wanted.get("schema")


def _tool_to_call(body: Mapping[str, Any]) -> Tool | None:
    """The tool to call: none once the last message brings a result, so that a loop of tool calls ends."""
    choice = body.get("tool_choice") or {}
    last = body["messages"][-1]["content"] if body["messages"] else ""
    answered = isinstance(last, list) and any(block.get("type") == "tool_result" for block in last)
    if answered or choice.get("type") == "none" or body["max_tokens"] == 0:
        return None
    for tool in body.get("tools") or ():
        if "input_schema" in tool and choice.get("name", tool["name"]) == tool["name"]:
            return Tool(tool["name"], tool["input_schema"])
    return None


def _content(body: Mapping[str, Any], turn: Turn, state: ProviderState) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if turn.thinking:
        thinking = "".join(turn.thinking)
        signature = base64.b64encode(hashlib.sha512(thinking.encode(errors="replace")).digest()).decode()
        omitted = body["thinking"].get("display") == "omitted"
        blocks.append({"type": "thinking", "thinking": "" if omitted else thinking, "signature": signature})
    if turn.text:
        blocks.append({"type": "text", "text": "".join(turn.text)})
    if turn.tool:
        call = {"type": "tool_use", "id": state.next_id("toolu_"), "name": turn.tool.name}
        blocks.append({**call, "input": turn.tool.arguments})
    return blocks


def _as_deltas(block: Mapping[str, Any], turn: Turn) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """A block as a stream opens it, and what is then added to it."""
    if block["type"] == "thinking":
        return {**block, "thinking": "", "signature": ""}, _thinking_deltas(block, turn)
    if block["type"] == "text":
        return {**block, "text": ""}, ({"type": "text_delta", "text": piece} for piece in turn.text)
    pieces = turn.tool.pieces if turn.tool else ()
    return {**block, "input": {}}, ({"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces))


def _thinking_deltas(block: Mapping[str, Any], turn: Turn) -> Iterator[dict[str, Any]]:
    for piece in turn.thinking if block["thinking"] else ():
        yield {"type": "thinking_delta", "thinking": piece}
    yield {"type": "signature_delta", "signature": block["signature"]}


def _usage(body: Mapping[str, Any], prompt: PromptTokens, turn: Turn, tier: str) -> dict[str, Any]:
    usage = {
        "input_tokens": prompt.uncached,
        "cache_creation_input_tokens": prompt.written_5m + prompt.written_1h,
        "cache_read_input_tokens": prompt.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": prompt.written_5m,
            "ephemeral_1h_input_tokens": prompt.written_1h,
        },
        "output_tokens": turn.output_tokens,
        "output_tokens_details": {"thinking_tokens": turn.thinking_tokens},
        "service_tier": tier,
    }
    return usage | {name: body[name] for name in ("speed", "inference_geo") if body.get(name)}


def _parts(body: Mapping[str, Any]) -> list[Part]:
    """The blocks of a prompt in the order in which the cache sees them."""
    parts = [_part(tool) for tool in body.get("tools") or ()]
    parts += [_part(block) for block in _blocks(body.get("system"))]
    for turn in body["messages"]:
        parts += [_part(block, turn["role"]) for block in _blocks(turn["content"])]
    whole = body.get("cache_control")
    if whole and parts:
        parts[-1] = Part(parts[-1].block, whole.get("ttl", "5m"))
    return parts


def _blocks(content: Any) -> list[Any]:
    if not content:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _part(block: Mapping[str, Any], role: str = "") -> Part:
    marked = block.get("cache_control")
    plain = {name: value for name, value in block.items() if name != "cache_control"}
    return Part([role, plain], marked.get("ttl", "5m") if marked else None)
