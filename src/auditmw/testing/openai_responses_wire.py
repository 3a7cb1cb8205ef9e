"""OpenAI responses: from a request's JSON to a response, whole or as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from auditmw.testing.answer import Answer, Tool, Turn, compose
from auditmw.testing.openai_wire import CREATED, choose_tool, prompt_tokens, require, served_tier
from auditmw.testing.reply import event
from auditmw.testing.state import ProviderState

_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def response(body: Mapping[str, Any], answer: Answer, state: ProviderState) -> tuple[dict[str, Any], Turn]:
    """The whole response that answers a request, and the turn it was made from."""
    require(body, "model", "input")
    turn = compose(
        answer,
        thinks=(body.get("reasoning") or {}).get("effort") not in {None, "none"},
        tool=_tool_to_call(body),
        schema=((body.get("text") or {}).get("format") or {}).get("schema"),
        max_tokens=body.get("max_output_tokens"),
    )
    asked = [body["input"]] if isinstance(body["input"], str) else body["input"]
    blocks = [*(body.get("tools") or ()), *filter(None, [body.get("instructions")]), *asked]
    total, cached = prompt_tokens(body["model"], blocks, state)
    usage = {
        "input_tokens": total,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": turn.output_tokens,
        "output_tokens_details": {"reasoning_tokens": turn.thinking_tokens},
        "total_tokens": total + turn.output_tokens,
    }
    reason = answer.stop_reason or ("max_output_tokens" if turn.cut_short else None)
    return {
        **{name: body.get(name, default) for name, default in _ECHOED.items()},
        "id": state.next_id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "completed_at": None if reason else CREATED + 1,
        "status": "incomplete" if reason else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": answer.model or body["model"],
        "output": _output(turn, state, "incomplete" if reason else "completed"),
        "service_tier": served_tier(body),
        "usage": {**usage, **answer.usage},
    }, turn


def response_events(whole: Mapping[str, Any], turn: Turn) -> Iterator[bytes]:
    """The same response as a stream of numbered events; usage comes with the last."""
    for number, (kind, fields) in enumerate(_events(whole, turn)):
        yield event(kind, {"type": kind, "sequence_number": number, **fields})


def _events(whole: Mapping[str, Any], turn: Turn) -> Iterator[tuple[str, dict[str, Any]]]:
    opening = {**whole, "status": "in_progress", "completed_at": None, "incomplete_details": None}
    opening |= {"output": [], "usage": None}
    yield "response.created", {"response": opening}
    yield "response.in_progress", {"response": opening}
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index}
        empty = {**item, **({} if item["type"] == "reasoning" else {"status": "in_progress"})}
        if item["type"] == "message":
            yield "response.output_item.added", {**place, "item": {**empty, "content": []}}
            yield from _text_events({**place, "item_id": item["id"], "content_index": 0}, item["content"][0], turn)
        elif item["type"] == "function_call":
            yield "response.output_item.added", {**place, "item": {**empty, "arguments": ""}}
            yield from _arguments_events({**place, "item_id": item["id"]}, item, turn)
        else:
            yield "response.output_item.added", {**place, "item": empty}
        yield "response.output_item.done", {**place, "item": item}
    yield f"response.{whole['status']}", {"response": whole}


def _text_events(place: Mapping[str, Any], part: Mapping[str, Any], turn: Turn) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
    for piece in turn.text:
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**place, "text": part["text"], "logprobs": []}
    yield "response.content_part.done", {**place, "part": part}


def _arguments_events(
    place: Mapping[str, Any], item: Mapping[str, Any], turn: Turn
) -> Iterator[tuple[str, dict[str, Any]]]:
    for piece in turn.tool.pieces if turn.tool else ():
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", {**place, **done}


def _output(turn: Turn, state: ProviderState, status: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if turn.thinking:
        items.append({"id": state.next_id("rs_"), "type": "reasoning", "summary": []})
    if turn.tool:
        call = {"call_id": state.next_id("call_"), "name": turn.tool.name, "arguments": "".join(turn.tool.pieces)}
        items.append({"id": state.next_id("fc_"), "type": "function_call", "status": status, **call})
    else:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": "".join(turn.text)}
        message = {"id": state.next_id("msg_"), "type": "message", "status": status, "role": "assistant"}
        items.append({**message, "content": [part]})
    return items


def _tool_to_call(body: Mapping[str, Any]) -> Tool | None:
    asked = body["input"]
    if isinstance(asked, list) and asked and asked[-1].get("type") == "function_call_output":
        return None
    functions = [tool for tool in body.get("tools") or () if tool.get("type") == "function"]
    return choose_tool(functions, body.get("tool_choice"))
