"""The reader of Anthropic Messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.call import Call
from auditmw.canonical import canonical_json
from auditmw.providers import READERS, for_answer, for_path

reader = READERS["anthropic"]


def new_call(request: Any = None) -> Call:
    return Call(request_id="r", timestamp_us=0, request=request)


def message(*blocks: dict, **changes: Any) -> dict:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5-20260901",
        "content": list(blocks),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 9, "service_tier": "standard"},
    } | changes


def deltas(block: dict) -> Iterator[dict]:
    """The deltas in which a provider might send a block, after its empty beginning."""
    match block["type"]:
        case "text":
            yield from ({"type": "text_delta", "text": piece} for piece in block["text"])
            yield from ({"type": "citations_delta", "citation": c} for c in block.get("citations", []))
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in block["thinking"])
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            text = json.dumps(block["input"])
            yield from ({"type": "input_json_delta", "partial_json": text[i : i + 3]} for i in range(0, len(text), 3))
        case "compaction":
            yield {"type": "compaction_delta", "content": block["content"]}


EMPTY = {"text": "", "thinking": "", "signature": "", "input": {}, "content": None}


def events_of(answer: dict) -> list[dict]:
    """The events in which a provider streams an answer."""
    usage = answer["usage"]
    start = answer | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    found = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(answer["content"]):
        parts = list(deltas(block))
        begin = {k: EMPTY.get(k, v) for k, v in block.items() if k != "citations"} if parts else block
        found.append({"type": "content_block_start", "index": index, "content_block": begin})
        found += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in parts]
        found.append({"type": "content_block_stop", "index": index})
    ending = {k: answer.get(k) for k in ("stop_reason", "stop_sequence", "stop_details", "container")}
    final = {"output_tokens": usage["output_tokens"], "iterations": usage.get("iterations")}
    return [*found, {"type": "message_delta", "delta": ending, "usage": final}, {"type": "message_stop"}]


def sse(events: list[dict]) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def read(answer: dict) -> Call:
    call = new_call()
    reader.read_response(call, answer)
    return call


def read_stream(raw: bytes | list[dict]) -> Call:
    call = new_call()
    reader.read_stream(call, raw if isinstance(raw, bytes) else sse(raw))
    return call


TEXT = {"type": "text", "text": "Hello, wörld 🌍"}
CITATION = {
    "type": "char_location",
    "cited_text": "green",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 9,
    "end_char_index": 14,
}
CITED = {"type": "text", "text": "Grass is green.", "citations": [CITATION]}
THINKING = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmF0dXJl"}
REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"place": "Graz", "days": [1, 2.5, None]}}
BARE_TOOL = {"type": "tool_use", "id": "toolu_2", "name": "get_time", "input": {}}
SERVER_TOOL = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "snow"}}
MCP_TOOL = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "lookup", "server_name": "crm", "input": {"id": 7}}
RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]}
COMPACTION = {"type": "compaction", "content": "We spoke of snow."}
UNKNOWN = {"type": "hologram", "planes": [1, 2], "label": None, "depth": 3}
ALL = [THINKING, REDACTED, TEXT, CITED, TOOL, BARE_TOOL, SERVER_TOOL, RESULT, MCP_TOOL, COMPACTION, UNKNOWN]


def test_a_streamed_answer_is_assembled_into_the_one_that_comes_unstreamed() -> None:
    answer = message(*ALL, stop_reason="tool_use")
    assert read_stream(events_of(answer)).response == answer


def test_content_hashes_are_over_the_same_bytes_for_streams_dicts_and_sdk_objects() -> None:
    """Sentence 21, the reader's half: what is hashed is equal."""
    import anthropic.types

    answer = message(TEXT, CITED, THINKING, TOOL)
    sdk = anthropic.types.Message.model_validate(answer)
    streamed = read_stream(events_of(answer)).response
    forms = {canonical_json(reader.output(form)) for form in (answer, streamed, sdk, json.dumps(answer).encode())}
    assert len(forms) == 1


@given(st.lists(st.sampled_from(ALL), max_size=6), st.sampled_from(["end_turn", "max_tokens", "a_new_reason"]))
def test_any_blocks_are_equal_streamed_or_not(blocks: list[dict], reason: str) -> None:
    answer = message(*blocks, stop_reason=reason)
    whole, streamed = read(answer), read_stream(events_of(json.loads(json.dumps(answer))))
    assert reader.output(streamed.response) == reader.output(whole.response)
    for name in ("usage", "stop_reason", "tool_names", "response_id", "response_model", "service_tier"):
        assert getattr(streamed, name) == getattr(whole, name)
    assert streamed.status == "success"


def test_a_whole_answer_sets_the_facts_of_the_call() -> None:
    call = read(message(TEXT, TOOL, SERVER_TOOL, TOOL, stop_reason="tool_use"))
    assert (call.response_id, call.response_model) == ("msg_1", "claude-sonnet-5-5-20260901")
    assert (call.stop_reason, call.service_tier) == ("tool_use", "standard")
    assert call.tool_names == ["get_weather", "web_search"]
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.complete) == (12, 9, True)
    assert call.usage.cache_read_tokens is None


def test_a_stream_that_ends_without_message_delta_is_incomplete_and_its_placeholder_is_not_recorded() -> None:
    """Sentence 5."""
    events = [e for e in events_of(message(TEXT)) if e["type"] not in {"message_delta", "message_stop"}]
    call = read_stream(events)
    assert call.status is None
    assert call.usage is not None
    assert not call.usage.complete
    assert call.usage.output_tokens is None
    assert "output_tokens" not in (call.usage.raw or {})
    assert call.usage.input_tokens == 12
    assert call.stop_reason is None
    assert call.response["content"] == [TEXT]


def test_a_stream_cut_after_message_delta_has_its_usage_and_no_status() -> None:
    call = read_stream(events_of(message(TEXT))[:-1])
    assert call.status is None
    assert call.usage is not None
    assert (call.usage.complete, call.usage.output_tokens) == (True, 9)


def test_a_mid_stream_error_event_is_recorded_as_an_error_with_the_api_error_type() -> None:
    """Sentence 6."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    call = read_stream([*events_of(message(TEXT))[:5], error])
    assert (call.status, call.error_type, call.error_message) == ("error", "overloaded_error", "Overloaded")
    assert call.usage is not None
    assert call.usage.output_tokens is None


def test_a_bedrock_binary_event_stream_is_recorded_with_usage() -> None:
    """Sentence 7, the reader's half."""
    import base64
    import struct

    raw = b""
    for event in events_of(message(TEXT)):
        payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
        raw += struct.pack(">III", 16 + len(payload), 0, 0) + payload + b"\0\0\0\0"
    call = read_stream(raw)
    assert (call.status, call.response["content"]) == ("success", [TEXT])
    assert call.usage is not None
    assert call.usage.output_tokens == 9


def test_message_delta_usage_is_cumulative_and_replaces() -> None:
    events = events_of(message(TEXT))
    events.insert(-1, {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 40, "input_tokens": None}})
    usage = read_stream(events).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (12, 40)


def test_the_cache_split_of_message_start_is_kept() -> None:
    split = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20}
    spent = {"input_tokens": 5, "output_tokens": 9, "cache_creation_input_tokens": 50, "cache_creation": split}
    usage = read_stream(events_of(message(TEXT, usage=spent))).usage
    assert usage is not None
    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (30, 20)
    assert usage.raw == spent


def test_a_missing_cache_split_is_five_minutes() -> None:
    usage = read(message(usage={"input_tokens": 5, "output_tokens": 9, "cache_creation_input_tokens": 50})).usage
    assert usage is not None
    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (50, None)


def test_thinking_tokens_are_inside_output_tokens() -> None:
    spent = {"input_tokens": 5, "output_tokens": 90, "output_tokens_details": {"thinking_tokens": 70}}
    usage = read(message(usage=spent)).usage
    assert usage is not None
    assert (usage.output_tokens, usage.thinking_tokens) == (90, 70)


def test_compaction_iterations_are_added_to_the_counts() -> None:
    own = {"type": "message", "input_tokens": 100, "output_tokens": 20}
    compaction = {"type": "compaction", "input_tokens": 1000, "output_tokens": 50, "cache_read_input_tokens": 7}
    spent = {"input_tokens": 100, "output_tokens": 20, "iterations": [compaction, own]}
    for call in (read(message(usage=spent)), read_stream(events_of(message(usage=spent)))):
        assert call.usage is not None
        assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.cache_read_tokens) == (1100, 70, 7)


def test_unknown_fields_reasons_and_blocks_survive_verbatim_and_raise_no_warning() -> None:
    """Sentence 18; the project's tests run with warnings as errors."""
    import anthropic.types

    spent = {"input_tokens": 1, "output_tokens": 2, "moonlight": {"beams": 3}}
    answer = message(UNKNOWN, stop_reason="eclipse", usage=spent)
    sdk = anthropic.types.Message.construct(**answer)
    for call in (read(answer), read(sdk), read_stream(events_of(answer))):
        assert call.stop_reason == "eclipse"
        assert call.usage is not None
        assert call.usage.raw == spent
        assert call.response["content"] == [UNKNOWN]


def test_refusals_keep_their_category_and_lose_the_credit_token() -> None:
    """Sentence 19."""
    details = {"type": "refusal", "category": "cyber", "explanation": "no", "fallback_credit_token": "fct_secret"}
    answer = message(TEXT, stop_reason="refusal", stop_details=details)
    for call in (read(answer), read_stream(events_of(answer))):
        assert call.stop_reason == "refusal"
        assert call.metadata["stop_category"] == "cyber"
        assert "fct_secret" not in repr(call)
    assert answer["stop_details"]["fallback_credit_token"] == "fct_secret"


def test_credentials_in_a_request_are_not_among_its_params() -> None:
    """Sentence 19: MCP tokens and credit tokens are not even hashed."""
    request = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 9,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "hi"}],
        "metadata": {"user_id": "u"},
        "fallback_credit_token": "fct_secret",
        "mcp_servers": [{"type": "url", "url": "https://crm.example", "authorization_token": "secret"}],
    }
    assert reader.params(request) == {
        "model": "claude-sonnet-5-5",
        "max_tokens": 9,
        "mcp_servers": [{"type": "url", "url": "https://crm.example"}],
    }
    assert reader.system_prompt(request) == "Be brief."
    assert reader.input(request) == request["messages"]
    assert request["mcp_servers"][0]["authorization_token"] == "secret"


def test_a_request_sets_model_and_stream_before_anything_is_sent() -> None:
    call = new_call({"model": "claude-sonnet-5-5", "stream": True})
    reader.read_request(call)
    assert (call.provider, call.model, call.stream) == ("anthropic", "claude-sonnet-5-5", True)


def test_a_request_leaves_what_the_client_set() -> None:
    call = new_call("no mapping")
    call.provider, call.model = "aws.bedrock", "claude"
    reader.read_request(call)
    assert (call.provider, call.model, call.stream) == ("aws.bedrock", "claude", False)


@pytest.mark.parametrize(
    "form", [dict, json.dumps, lambda body: json.dumps(body).encode()], ids=["dict", "text", "bytes"]
)
def test_an_error_body_gives_type_message_and_request_id(form: Any) -> None:
    body = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}, "request_id": "req_9"}
    call = new_call()
    reader.read_error(call, form(body))
    assert (call.error_type, call.error_message, call.provider_request_id) == ("rate_limit_error", "slow", "req_9")


@pytest.mark.parametrize("body", [None, b"<html>502</html>", [], {"error": None}, 7, Ellipsis], ids=repr)
def test_an_unreadable_error_body_is_left_alone(body: Any) -> None:
    call = new_call()
    reader.read_error(call, body)
    assert (call.error_type, call.error_message) == (None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["id", "model", "content", "stop_reason", "stop_details", "usage", "type", "iterations", "error", "choices"]


@pytest.mark.parametrize("name", sorted(READERS))
@given(body=st.dictionaries(st.sampled_from(NAMES), JSON | st.dictionaries(st.sampled_from(NAMES), JSON)) | JSON)
def test_no_answer_makes_a_reader_raise(name: str, body: Any) -> None:
    call = new_call(body)
    READERS[name].read_request(call)
    READERS[name].read_response(call, body)
    READERS[name].read_error(call, body)
    READERS[name].read_stream(call, b"data: " + json.dumps(body).encode() + b"\n\n")
    for part in (READERS[name].system_prompt, READERS[name].params, READERS[name].output):
        part(body)
    READERS[name].matches(body)


@given(st.integers(0, 3000))
def test_a_stream_cut_anywhere_is_read_as_far_as_it_goes(cut: int) -> None:
    raw = sse(events_of(message(*ALL)))
    call = read_stream(raw[:cut])
    assert call.status in {None, "success"}


def test_a_tool_input_that_was_cut_stays_as_text() -> None:
    (block,) = read_stream(events_of(message(TOOL))[:6]).response["content"]
    assert block["input"] == '{"place":'


def test_deltas_without_a_start_make_a_block() -> None:
    events = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x", "n": 1}}]
    assert read_stream(events).response["content"] == [{"text": "x", "n": 1}]


def test_context_management_of_the_last_event_is_part_of_the_message() -> None:
    events = events_of(message(TEXT))
    events[-2]["context_management"] = {"applied_edits": []}
    assert read_stream(events).response["context_management"] == {"applied_edits": []}


def test_an_answer_of_no_shape_has_no_output() -> None:
    assert reader.output(None) is None
    assert reader.output(object()) is None
    assert reader.params(["no", "mapping"]) is None


def test_paths_find_their_reader() -> None:
    assert for_path("https://api.anthropic.com/v1/messages?beta=true") is reader
    assert for_path("/anthropic/v1/messages/") is reader
    assert for_path("/v1/messages/count_tokens") is None
    assert for_path("/openai/deployments/mine/chat/completions") is READERS["openai_chat"]
    assert for_path("/v1/responses") is READERS["openai_responses"]


def test_answers_find_their_reader_and_other_things_none() -> None:
    assert for_answer(message(TEXT)) is reader
    assert for_answer({"type": "message"}) is None
    assert for_answer("hello") is None
    assert for_answer(None) is None


def test_every_wire_format_of_the_folder_is_registered_documented_and_tested() -> None:
    import importlib
    import pkgutil
    from pathlib import Path

    from auditmw import providers

    for found in pkgutil.iter_modules(providers.__path__):
        module = importlib.import_module(f"auditmw.providers.{found.name}")
        if any(hasattr(value, "paths") and value.__module__ == module.__name__ for value in vars(module).values()):
            if found.name == "protocol":
                continue
            assert type(READERS[found.name]).__module__ == module.__name__
            assert module.__doc__
            assert f'READERS["{found.name}"]' in "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))
