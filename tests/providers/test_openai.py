"""The readers of OpenAI's two formats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auditmw.call import Call
from auditmw.canonical import canonical_json
from auditmw.providers import READERS, for_answer

chat = READERS["openai_chat"]
responses = READERS["openai_responses"]


def new_call(request: Any = None) -> Call:
    return Call(request_id="r", timestamp_us=0, request=request)


def sse(events: list[dict], end: str = "data: [DONE]\n\n") -> bytes:
    return ("".join(f"data: {json.dumps(event)}\n\n" for event in events) + end).encode()


TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Graz"}'}}
SPENT = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 25},
}


def completion(*messages: dict, reason: str = "stop", **changes: Any) -> dict:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-6.1-sol-2026-09-01",
        "service_tier": "default",
        "choices": [
            {"index": i, "message": m, "logprobs": None, "finish_reason": reason} for i, m in enumerate(messages)
        ],
        "usage": SPENT,
    } | changes


def text_message(text: str = "Hello there") -> dict:
    return {"role": "assistant", "content": text, "refusal": None, "annotations": []}


def tool_message() -> dict:
    return {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL, TOOL_CALL | {"id": "call_2"}]}


def chunk(delta: dict, reason: str | None = None, index: int = 0) -> dict:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-6.1-sol-2026-09-01",
        "service_tier": "default",
        "choices": [{"index": index, "delta": delta, "finish_reason": reason}],
        "usage": None,
    }


USAGE_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": SPENT}
TEXT_CHUNKS = [
    chunk({"role": "assistant", "content": "", "refusal": None}),
    chunk({"content": "Hello "}),
    chunk({"content": "there"}),
    chunk({}, "stop"),
]


def tool_chunks() -> list[dict]:
    found = [chunk({"role": "assistant", "content": None})]
    for index, identity in enumerate(("call_1", "call_2")):
        function = {"name": "get_weather", "arguments": ""}
        found.append(
            chunk({"tool_calls": [{"index": index, "id": identity, "type": "function", "function": function}]})
        )
        for piece in ('{"city"', ':"Graz"}'):
            found.append(chunk({"tool_calls": [{"index": index, "id": "", "function": {"arguments": piece}}]}))
    return [*found, chunk({}, "tool_calls")]


def read_chat(answer: Any) -> Call:
    call = new_call()
    chat.read_response(call, answer)
    return call


def read_chat_stream(raw: bytes) -> Call:
    call = new_call()
    chat.read_stream(call, raw)
    return call


def test_prompt_tokens_include_cached_ones_and_are_not_counted_twice() -> None:
    """Sentence 32."""
    for call in (read_chat(completion(text_message())), read_chat_stream(sse([*TEXT_CHUNKS, USAGE_CHUNK]))):
        usage = call.usage
        assert usage is not None
        assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_5m_tokens) == (30, 60, 10)
        assert (usage.output_tokens, usage.thinking_tokens, usage.raw) == (30, 25, SPENT)


def test_a_chat_stream_without_include_usage_has_no_usage() -> None:
    """Sentence 32."""
    call = read_chat_stream(sse(TEXT_CHUNKS))
    assert call.usage is None
    assert (call.status, call.stop_reason) == ("success", "stop")


@pytest.mark.parametrize(
    ("chunks", "whole"),
    [(TEXT_CHUNKS, completion(text_message())), (tool_chunks(), completion(tool_message(), reason="tool_calls"))],
    ids=["text", "tools"],
)
def test_a_streamed_completion_has_the_output_of_the_one_that_comes_unstreamed(chunks: list[dict], whole: dict) -> None:
    streamed = read_chat_stream(sse([*chunks, USAGE_CHUNK]))
    unstreamed = read_chat(whole)
    assert chat.output(streamed.response) == chat.output(unstreamed.response)
    for name in ("usage", "stop_reason", "tool_names", "response_id", "response_model", "service_tier"):
        assert getattr(streamed, name) == getattr(unstreamed, name)


def test_sdk_objects_and_dicts_give_the_same_bytes_to_hash() -> None:
    """Sentence 21, the reader's half."""
    from openai.types.chat import ChatCompletion

    for answer in (completion(text_message()), completion(tool_message(), reason="tool_calls")):
        sdk = ChatCompletion.model_validate(answer)
        assert chat.matches(sdk)
        assert canonical_json(chat.output(sdk)) == canonical_json(chat.output(answer))


def test_two_choices_are_kept_apart_and_tool_names_named_once() -> None:
    chunks = [chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({"content": "c"}), chunk({}, "stop")]
    call = read_chat_stream(sse([*chunks, chunk({}, "stop", index=1)], end=""))
    assert chat.output(call.response) == [{"content": "ac"}, {"content": "b"}]
    assert call.status == "success"
    assert read_chat(completion(tool_message())).tool_names == ["get_weather"]


def test_a_chat_stream_that_was_cut_has_no_status_and_no_output_tokens() -> None:
    counted = [event | {"usage": SPENT} for event in TEXT_CHUNKS[:-1]]
    call = read_chat_stream(sse(counted, end='data: {"id"'))
    assert call.status is None
    assert call.usage is not None
    assert (call.usage.complete, call.usage.output_tokens, call.usage.input_tokens) == (False, None, 30)
    assert chat.output(call.response) == [{"role": "assistant", "content": "Hello there"}]


def test_an_error_in_a_chat_stream_is_an_error() -> None:
    error = {"error": {"message": "Overloaded", "type": "server_error", "code": None}}
    call = read_chat_stream(sse([*TEXT_CHUNKS[:2], error]))
    assert (call.status, call.error_type, call.error_message) == ("error", "server_error", "Overloaded")


def test_older_function_calls_and_custom_tools_are_named() -> None:
    older = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    custom = {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "g", "input": "x"}}]}
    assert read_chat(completion(older, custom)).tool_names == ["f", "g"]


def test_deltas_of_unknown_shape_are_kept() -> None:
    chunks = [
        chunk({"content": "a", "extra": {"score": 1, "note": "x"}, "marks": ["m"]}),
        chunk({"content": "b", "extra": {"note": "y"}, "marks": [{"k": "v"}]}),
        chunk({"extra": "now text", "content": None}, "stop"),
    ]
    call = read_chat_stream(sse(chunks))
    assert chat.output(call.response) == [{"content": "ab", "extra": "now text", "marks": [{"k": "v"}]}]


def test_the_system_message_is_the_system_prompt() -> None:
    system, developer = {"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."}
    user = {"role": "user", "content": "hi"}
    assert chat.system_prompt({"messages": [system, user]}) == "Be brief."
    assert chat.system_prompt({"messages": [system, developer, user]}) == ["Be brief.", "Be kind."]
    assert chat.system_prompt({"messages": [user]}) is None
    assert chat.system_prompt(None) is None
    assert chat.input({"messages": [user]}) == [user]
    assert chat.output(None) is None


def test_params_hold_nothing_about_a_person() -> None:
    request = {"model": "gpt-6-sol", "messages": [], "user": "u", "safety_identifier": "s", "metadata": {}, "n": 1}
    assert chat.params(request) == {"model": "gpt-6-sol", "n": 1}
    assert chat.params(7) is None


@pytest.mark.parametrize("reader", [chat, responses], ids=["chat", "responses"])
def test_a_request_sets_model_stream_and_safety_identifier(reader: Any) -> None:
    call = new_call({"model": "gpt-6-sol", "stream": True, "safety_identifier": "s-1"})
    reader.read_request(call)
    assert (call.provider, call.model, call.stream) == ("openai", "gpt-6-sol", True)
    assert call.metadata == {"safety_identifier": "s-1"}


@pytest.mark.parametrize("reader", [chat, responses], ids=["chat", "responses"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "invalid_request_error", "code": "context_length_exceeded", "message": "m"}, "invalid_request_error"),
        ({"code": 429, "message": "m"}, "429"),
        ({"message": "m"}, None),
    ],
    ids=["type", "code", "neither"],
)
def test_an_http_error_gives_its_type_or_code(reader: Any, error: dict, kind: str | None) -> None:
    call = new_call()
    reader.read_error(call, {"error": error})
    assert (call.error_type, call.error_message) == (kind, "m")


def response(*output: dict, **changes: Any) -> dict:
    return {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-6.1-sol-2026-09-01",
        "status": "completed",
        "service_tier": "priority",
        "incomplete_details": None,
        "error": None,
        "output": list(output),
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {
                "cached_tokens": 40,
                "cache_write_tokens": 30,
                "cache_write_tokens_details": {"ttl_30m_tokens": 20, "ttl_12h_tokens": 10},
            },
            "output_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 3},
        },
    } | changes


def says(text: str) -> dict:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


CALLS = [
    {"type": "function_call", "name": "get_weather", "arguments": "{}", "call_id": "c1"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    {"type": "mcp_call", "name": "lookup", "arguments": "{}"},
    {"type": "reasoning", "summary": []},
]


def read_response(answer: Any) -> Call:
    call = new_call()
    responses.read_response(call, answer)
    return call


def read_response_stream(events: list[dict]) -> Call:
    call = new_call()
    responses.read_stream(call, sse(events, end=""))
    return call


def begun() -> dict:
    return {"type": "response.created", "response": response(status="in_progress", usage=None)}


def item_events(index: int, item: dict, deltas: list[str], *, done: bool) -> list[dict]:
    empty = item | ({"content": []} if "content" in item else {"arguments": ""})
    found = [{"type": "response.output_item.added", "output_index": index, "item": empty}]
    found += [{"type": "response.output_text.delta", "output_index": index, "delta": piece} for piece in deltas]
    return [*found, {"type": "response.output_item.done", "output_index": index, "item": item}] if done else found


def test_a_whole_response_sets_the_facts_of_the_call() -> None:
    call = read_response(response(says("hi"), *CALLS))
    assert (call.response_id, call.response_model) == ("resp_1", "gpt-6.1-sol-2026-09-01")
    assert (call.stop_reason, call.service_tier) == ("completed", "priority")
    assert call.tool_names == ["get_weather", "web_search", "lookup"]
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.cache_read_tokens) == (30, 40)
    assert (call.usage.cache_write_5m_tokens, call.usage.cache_write_1h_tokens) == (20, 10)
    assert (call.usage.output_tokens, call.usage.thinking_tokens) == (8, 3)


def test_a_streamed_response_is_the_one_of_its_last_event() -> None:
    whole = response(says("hi"))
    events = [begun(), *item_events(0, says("hi"), ["h", "i"], done=True)]
    call = read_response_stream([*events, {"type": "response.completed", "response": whole}])
    assert (call.status, call.response) == ("success", whole)
    assert responses.output(call.response) == responses.output(whole)


def test_an_incomplete_response_is_a_success_with_its_stop_reason() -> None:
    whole = response(says("h"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    call = read_response_stream([begun(), {"type": "response.incomplete", "response": whole}])
    assert (call.status, call.stop_reason) == ("success", "max_output_tokens")


def test_a_failed_response_is_an_error_streamed_or_not() -> None:
    whole = response(status="failed", error={"code": "server_error", "message": "boom"})
    for call in (read_response(whole), read_response_stream([begun(), {"type": "response.failed", "response": whole}])):
        assert (call.status, call.error_type, call.error_message) == ("error", "server_error", "boom")
        assert call.usage is not None


def test_an_error_event_is_an_error() -> None:
    call = read_response_stream([begun(), {"type": "error", "code": "rate_limit_exceeded", "message": "slow"}])
    assert (call.status, call.error_type, call.error_message) == ("error", "rate_limit_exceeded", "slow")


def test_a_cut_response_stream_holds_what_had_come_and_no_usage() -> None:
    function = {"type": "function_call", "name": "f", "arguments": ""}
    events = [
        begun(),
        *item_events(0, says("done"), ["do", "ne"], done=True),
        *item_events(1, says(""), ["half a ", "sentence"], done=False),
        *item_events(2, function, ['{"a"'], done=False),
        {"type": "response.refusal.delta", "output_index": 3, "delta": {"not": "text"}},
        {"type": "response.reasoning_text.delta", "output_index": 4, "delta": "hm"},
    ]
    call = read_response_stream(events)
    assert (call.status, call.usage, call.response_id) == (None, None, "resp_1")
    items = responses.output(call.response)
    assert items[0] == says("done")
    assert items[1]["content"] == [{"type": "output_text", "text": "half a sentence"}]
    assert items[2]["arguments"] == '{"a"'


def test_hosted_tools_are_kept_in_the_raw_usage() -> None:
    call = read_response(response(tool_usage={"web_search": {"num_requests": 2}}))
    assert call.usage is not None
    assert call.usage.raw is not None
    assert call.usage.raw["tool_usage"] == {"web_search": {"num_requests": 2}}


def test_a_queued_response_has_no_usage() -> None:
    call = read_response(response(status="queued", usage=None))
    assert (call.usage, call.stop_reason, call.status) == (None, "queued", None)


def test_responses_params_leave_out_credentials_for_mcp_servers() -> None:
    tool = {"type": "mcp", "server_url": "https://crm.example", "authorization": "secret", "headers": {"x": "secret"}}
    request = {"model": "gpt-6-sol", "instructions": "Be brief.", "input": "hi", "tools": [tool]}
    assert responses.params(request) == {
        "model": "gpt-6-sol",
        "tools": [{"type": "mcp", "server_url": "https://crm.example"}],
    }
    assert responses.params({"model": "m"}) == {"model": "m"}
    assert responses.params(None) is None
    assert responses.system_prompt(request) == "Be brief."
    assert responses.input(request) == "hi"
    assert responses.output(None) is None


def test_an_sdk_response_is_recognised_and_read() -> None:
    from openai.types.responses import Response

    sdk = Response.construct(**response(says("hi")))
    assert for_answer(sdk) is responses
    assert read_response(sdk).response_id == "resp_1"
