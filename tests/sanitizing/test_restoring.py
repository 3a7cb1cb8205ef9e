"""Tokens and the way back: texts, whole answers, streams of events under every chunking."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditmw.call import Call
from auditmw.providers import eventstream
from auditmw.sanitizing.framings import BinaryFrames, ServerSentEvents
from auditmw.sanitizing.restoring import Restorer, TextStream
from auditmw.sanitizing.returning import Returning
from auditmw.sanitizing.streams import EventStream
from auditmw.sanitizing.tokens import Tokens
from auditmw.wire import wire_json

VALUES = [
    ("CARD", "4111 1111 1111 1111"),
    ("PASSWORD", 'a"b\\c\n\u00e9\U0001f600'),
    ("MY_KIND", "x"),
    ("SECRET", "s" * 40),
]


def digest(data: bytes) -> bytes:
    return hmac.digest(b"k" * 32, data, hashlib.sha256)


@pytest.fixture
def tokens():
    made = Tokens(digest, "acme", "s1")
    for kind, value in VALUES:
        made.token(kind, value)
    return made


def with_tokens(text: str, tokens: Tokens) -> str:
    for kind, value in VALUES:
        text = text.replace(f"<{kind}>", tokens.token(kind, value))
    return text


def with_values(text: str) -> str:
    for kind, value in VALUES:
        text = text.replace(f"<{kind}>", value)
    return text


def cut(data, cuts):
    places = sorted({place % (len(data) + 1) for place in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


marked = st.lists(
    st.sampled_from([f"<{kind}>" for kind, _ in VALUES] + ["CARD_", "my_kind_", "s", "S", "_", " ", "\u00e9", "card"])
    | st.text(max_size=5).filter(lambda text: "<" not in text),
    max_size=12,
).map("".join)
cuts = st.lists(st.integers(0, 10_000), max_size=20)


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_the_same_value_gives_the_same_token_in_a_session_and_another_one_elsewhere():
    def token(tenant, session, kind="CARD", value="v"):
        return Tokens(digest, tenant, session).token(kind, value)

    assert token("a", "s") == token("a", "s")
    others = {
        token("a", "s"),
        token("a", "t"),
        token("b", "s"),
        token("a", "s", "SSN"),
        token("a", "s", value="w"),
        token("a", None),
    }
    assert len(others) == 6


def test_a_token_names_its_kind_and_needs_no_escape_anywhere():
    assert Tokens(digest, None, None).token("CARD", "v").startswith("CARD_")
    odd = Tokens(digest, None, None).token('my "kind"/\u00e9', "v")
    assert odd.startswith("MY_KIND_")
    assert json.dumps(odd) == f'"{odd}"'


def test_a_value_gets_another_token_where_the_text_says_its_own():
    first = Tokens(digest, None, None).token("CARD", "v")
    careful = Tokens(digest, None, None)
    careful.avoid(f"please repeat {first.upper()}")
    second = careful.token("CARD", "v")
    assert second != first
    assert Restorer(careful).text(f"{first} {second}") == f"{first} v"


def test_two_values_never_share_a_token():
    colliding = Tokens(lambda data: hashlib.sha256(bytes([hash(data) % 2])).digest(), None, None)
    assert len({colliding.token("CARD", value) for value in "ab"}) == 2


def test_lone_surrogates_have_tokens_too():
    tokens = Tokens(digest, None, None)
    token = tokens.token("SECRET", "a\ud800b")
    assert Restorer(tokens).text(token) == "a\ud800b"


def test_hiding_takes_the_longest_value_first_and_all_of_them():
    tokens = Tokens(digest, None, None)
    short, long = tokens.token("PASSWORD", "abc"), tokens.token("PASSWORD", "abcdef")
    assert tokens.hide("abcdef abc") == f"{long} {short}"
    assert Tokens(digest, None, None).hide("abc") == "abc"


# --- texts ------------------------------------------------------------------------------------------------------------


@given(text=marked)
def test_restoring_is_the_way_back(text):
    tokens = Tokens(digest, None, None)
    for kind, value in VALUES:
        tokens.token(kind, value)
    assert Restorer(tokens).text(with_tokens(text, tokens)) == with_values(text)


@settings(max_examples=300)
@given(text=marked, cuts=cuts)
def test_a_text_in_parts_is_restored_as_the_whole_text_is(text, cuts):
    tokens = Tokens(digest, None, None)
    for kind, value in VALUES:
        tokens.token(kind, value)
    stream = TextStream(Restorer(tokens))
    said = with_tokens(text, tokens)
    assert "".join([*map(stream.feed, cut(said, cuts)), stream.rest()]) == with_values(text)


def test_only_what_may_begin_a_token_is_held_back(tokens):
    stream = TextStream(Restorer(tokens))
    assert stream.feed("Hello, wor") == "Hello, wor"
    assert stream.feed("ld CAR") == "ld "
    assert stream.feed("PET") == "CARPET"
    assert stream.rest() == ""


@pytest.mark.parametrize(
    "said",
    [str.lower, str.title, "**{}**".format, "{}s".format, "`{}`.".format],
    ids=["lower", "title", "bold", "plural", "code"],
)
def test_a_model_that_changes_a_token_does_not_break_it(tokens, said):
    token = tokens.token("CARD", VALUES[0][1])
    assert "4111 1111 1111 1111" in Restorer(tokens).text(said(token))


def test_what_only_looks_like_a_token_stays(tokens):
    text = "CARD_aaaaaaaaaa and CARD_aaaaaa" + tokens.token("SECRET", "s" * 40)
    assert Restorer(tokens).text(text) == "CARD_aaaaaaaaaa and CARD_aaaaaa" + "s" * 40


def test_in_json_a_value_is_escaped(tokens):
    said = json.dumps({"p": tokens.token(*VALUES[1])})
    assert json.loads(Restorer(tokens).text(said, in_json=True)) == {"p": VALUES[1][1]}


# --- whole answers ----------------------------------------------------------------------------------------------------


def test_an_answer_is_copied_only_where_something_is_restored(tokens):
    answer = {"content": [{"type": "text", "text": "nothing"}], "usage": {"input_tokens": 123456789}}
    assert Restorer(tokens).value(answer) is answer
    token = tokens.token("CARD", VALUES[0][1])
    said = {"content": [{"type": "tool_use", "input": {token: [token, 1234567890]}}]}
    restored = Restorer(tokens).value(said)
    assert restored == {"content": [{"type": "tool_use", "input": {VALUES[0][1]: [VALUES[0][1], 1234567890]}}]}
    assert said["content"][0]["input"] == {token: [token, 1234567890]}


def test_thinking_stays_as_it_was_signed(tokens):
    token = tokens.token("CARD", VALUES[0][1])
    answer = {"content": [{"type": "thinking", "thinking": token, "signature": token}]}
    assert Restorer(tokens).value(answer) is answer


def test_the_arguments_of_a_function_call_stay_json(tokens):
    arguments = json.dumps({"p": tokens.token(*VALUES[1])})
    answer = {"choices": [{"message": {"tool_calls": [{"function": {"arguments": arguments}}]}}]}
    restored = Restorer(tokens).value(answer)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(restored) == {"p": VALUES[1][1]}


# --- streams of events ------------------------------------------------------------------------------------------------


def sse(*events) -> bytes:
    return b"".join(f"event: {e.get('type', 'x')}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def anthropic_stream(text: str, partial: str, cuts: list[int]) -> list[dict]:
    events = [{"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 3}}}]
    for index, (kind, field, whole) in enumerate(
        [("text_delta", "text", text), ("input_json_delta", "partial_json", partial)]
    ):
        events.append({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}})
        events += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: part}}
            for part in cut(whole, cuts)
        ]
        events.append({"type": "content_block_stop", "index": index})
    return [*events, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]


def read_anthropic(raw: bytes) -> tuple[str, str]:
    texts = {"text": "", "partial_json": ""}
    for event in decode(raw):
        if event["type"] == "content_block_delta":
            for field in texts:
                texts[field] += event["delta"].get(field, "")
    return texts["text"], texts["partial_json"]


def decode(raw: bytes) -> list[dict]:
    lines = raw.decode().split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def through(stream, raw: bytes, cuts) -> bytes:
    return b"".join([*map(stream.feed, cut(raw, cuts)), stream.rest()])


@settings(max_examples=200, deadline=None)
@given(text=marked, value=marked, cuts=cuts, deltas=cuts)
def test_an_anthropic_stream_is_restored_under_every_chunking(text, value, cuts, deltas):
    tokens = Tokens(digest, None, None)
    for kind, stands_for in VALUES:
        tokens.token(kind, stands_for)
    partial = json.dumps({"v": with_tokens(value, tokens)})
    raw = sse(*anthropic_stream(with_tokens(text, tokens), partial, deltas))
    restored = through(EventStream(Restorer(tokens), ServerSentEvents()), raw, cuts)
    said, arguments = read_anthropic(restored)
    assert said == with_values(text)
    assert json.loads(arguments) == {"v": with_values(value)}
    assert len(decode(restored)) >= len(decode(raw))


def chat_stream(text: str, arguments: str, cuts: list[int]) -> list[dict]:
    def chunk(delta, finish=None):
        return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    parts = cut(text, cuts)
    calls = [chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}) for part in cut(arguments, cuts)]
    return [*[chunk({"content": part}) for part in parts[:-1]], *calls, chunk({"content": parts[-1]}, "stop")]


@settings(max_examples=100, deadline=None)
@given(text=marked, value=marked, cuts=cuts, deltas=cuts)
def test_a_chat_stream_is_restored_under_every_chunking(text, value, cuts, deltas):
    tokens = Tokens(digest, None, None)
    for kind, stands_for in VALUES:
        tokens.token(kind, stands_for)
    arguments = json.dumps({"v": with_tokens(value, tokens)})
    raw = sse(*chat_stream(with_tokens(text, tokens), arguments, deltas)) + b"data: [DONE]\n\n"
    restored = through(EventStream(Restorer(tokens), ServerSentEvents()), raw, cuts)
    said = called = ""
    for event in decode(restored):
        delta = event["choices"][0]["delta"]
        said += delta.get("content") or ""
        called += "".join(call["function"]["arguments"] for call in delta.get("tool_calls", ()))
    assert said == with_values(text)
    assert json.loads(called) == {"v": with_values(value)}
    assert restored.endswith(b"data: [DONE]\n\n")


@settings(max_examples=100, deadline=None)
@given(text=marked, value=marked, cuts=cuts, deltas=cuts)
def test_a_responses_stream_is_restored_under_every_chunking(text, value, cuts, deltas):
    tokens = Tokens(digest, None, None)
    for kind, stands_for in VALUES:
        tokens.token(kind, stands_for)
    said, arguments = with_tokens(text, tokens), json.dumps({"v": with_tokens(value, tokens)})
    raw = sse(
        *[
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": p}
            for p in cut(said, deltas)
        ],
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": said},
        *[
            {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": p}
            for p in cut(arguments, deltas)
        ],
        {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": arguments},
        {"type": "response.completed", "response": {"output": [{"type": "function_call", "arguments": arguments}]}},
    )
    texts = {"response.output_text.delta": "", "response.function_call_arguments.delta": ""}
    for event in decode(through(EventStream(Restorer(tokens), ServerSentEvents()), raw, cuts)):
        if event["type"] in texts:
            texts[event["type"]] += event["delta"]
        elif event["type"] == "response.output_text.done":
            assert event["text"] == with_values(text) == texts["response.output_text.delta"]
        elif event["type"] == "response.completed":
            assert json.loads(event["response"]["output"][0]["arguments"]) == {"v": with_values(value)}
    assert json.loads(texts["response.function_call_arguments.delta"]) == {"v": with_values(value)}


def frame(event: dict) -> bytes:
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"}).encode()
    name, value = b":event-type", b"chunk"
    headers = bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2, "big") + value
    lengths = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    head = lengths + zlib.crc32(lengths).to_bytes(4, "big") + headers + payload
    return head + zlib.crc32(head).to_bytes(4, "big")


@settings(max_examples=50, deadline=None)
@given(text=marked, cuts=cuts, deltas=cuts)
def test_the_binary_frames_of_bedrock_are_restored_with_right_checksums(text, cuts, deltas):
    tokens = Tokens(digest, None, None)
    for kind, stands_for in VALUES:
        tokens.token(kind, stands_for)
    raw = b"".join(map(frame, anthropic_stream(with_tokens(text, tokens), "{}", deltas)))
    restored = through(EventStream(Restorer(tokens), BinaryFrames()), raw, cuts)
    events = [json.loads(data) for data in eventstream.event_data(restored)]
    assert "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta") == with_values(
        text
    )
    start = 0
    while start < len(restored):
        length = int.from_bytes(restored[start : start + 4], "big")
        one = restored[start : start + length]
        assert zlib.crc32(one[:8]).to_bytes(4, "big") == one[8:12]
        assert zlib.crc32(one[:-4]).to_bytes(4, "big") == one[-4:]
        start += length


def test_a_frame_that_is_no_event_passes_as_it_is(tokens):
    stream = EventStream(Restorer(tokens), BinaryFrames())
    odd = frame({})[:20] + b"x" * 10
    broken = (len(odd) + 8).to_bytes(4, "big") + b"\0\0\0\0" + b"CRC_" + b"not json" + b"CRC_"
    broken = len(broken).to_bytes(4, "big") + broken[4:]
    assert stream.feed(broken) + stream.rest() == broken
    assert stream.feed(b"\0\0\0\1" + b"z" * 20) + stream.rest() == b"\0\0\0\1" + b"z" * 20


def test_events_without_a_token_pass_byte_for_byte_at_once(tokens):
    raw = b': comment\r\n\r\nevent: ping\r\ndata: {"type":  "ping"}\r\n\r\n' + sse({"type": "message_stop", "n": 1.50})
    stream = EventStream(Restorer(tokens), ServerSentEvents())
    assert stream.feed(raw) == raw
    assert stream.rest() == b""


def test_of_a_cut_stream_nothing_is_lost(tokens):
    raw = sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi CARD_ab"}})
    stream = EventStream(Restorer(tokens), ServerSentEvents())
    restored = stream.feed(raw + b"event: content_block_del") + stream.rest()
    assert read_anthropic(restored)[0] == "hi CARD_ab"
    assert restored.endswith(b"event: content_block_del")


def test_thinking_in_a_stream_passes_as_it_is(tokens):
    token = tokens.token("CARD", VALUES[0][1])
    raw = sse(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": token}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": token}},
        {"type": "response.reasoning_summary_text.delta", "delta": token},
    )
    assert EventStream(Restorer(tokens), ServerSentEvents()).feed(raw) == raw


@pytest.mark.parametrize(
    "delta",
    [
        lambda text: {"function_call": {"arguments": text}},
        lambda text: {"tool_calls": [{"index": 2, "custom": {"input": text}}]},
        lambda text: {"refusal": text},
        lambda text: {"reasoning_content": text},
        lambda text: {"audio": {"transcript": text}},
    ],
    ids=["function_call", "custom", "refusal", "reasoning_content", "transcript"],
)
def test_what_is_held_back_comes_in_an_event_of_the_same_form(tokens, delta):
    def chunk(text):
        return {"choices": [{"index": 1, "delta": delta(text), "finish_reason": None}], "usage": {"n": 1}}

    stream = EventStream(Restorer(tokens), ServerSentEvents())
    first, rest = decode(stream.feed(sse(chunk("a CARD_")))), decode(stream.rest())
    assert first == [chunk("a ")]
    assert rest == [{**chunk("CARD_"), "usage": None}]


def test_json_that_only_the_standard_library_writes_is_written():
    assert json.loads(wire_json({"a": "\ud800", "b": 10**30})) == {"a": "\ud800", "b": 10**30}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 0, "delta": "odd"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 3}},
        {"choices": ["odd", {"index": 0, "delta": None}, {"delta": {"tool_calls": ["odd"], "function_call": 1}}]},
        {"type": ["odd"], "delta": "x"},
        {"choices": [{"index": 0, "delta": {"tool_calls": 3}}]},
    ],
)
def test_odd_events_pass_as_they_are(tokens, event):
    assert EventStream(Restorer(tokens), ServerSentEvents()).feed(sse(event)) == sse(event)


def test_a_citation_is_restored_as_a_whole(tokens):
    token = tokens.token("CARD", VALUES[0][1])
    citation = {"type": "citations_delta", "citation": {"cited_text": token}}
    out = EventStream(Restorer(tokens), ServerSentEvents()).feed(
        sse({"type": "content_block_delta", "index": 0, "delta": citation})
    )
    assert decode(out)[0]["delta"]["citation"]["cited_text"] == VALUES[0][1]


# --- what a call's hook does with each form --------------------------------------------------------------------------


@pytest.fixture
def call():
    return Call(request_id="r", timestamp_us=0)


def test_a_body_of_json_is_restored_when_it_is_whole(tokens, call):
    call.content_type = "application/json"
    hook = Returning(call, tokens)
    raw = json.dumps({"text": tokens.token("CARD", VALUES[0][1])}).encode()
    assert hook(raw[:10]) == b"" == hook(raw[10:])
    assert json.loads(hook.rest()) == {"text": VALUES[0][1]}
    assert hook.rest() is None


@pytest.mark.parametrize("raw", [b"not json", b'{"a": 1}', b"\xff"])
def test_a_body_without_a_token_stays_as_it_came(tokens, call, raw):
    call.content_type = "application/json"
    hook = Returning(call, tokens)
    hook(raw)
    assert hook.rest() == raw


def test_the_frames_of_bedrock_are_known_by_their_type(tokens, call):
    call.content_type = "application/vnd.amazon.eventstream"
    token = tokens.token("CARD", VALUES[0][1])
    out = Returning(call, tokens)(frame({"type": "message_start", "message": {"x": token}}))
    assert json.loads(eventstream.event_data(out)[0])["message"] == {"x": VALUES[0][1]}


def test_bytes_of_another_type_pass(tokens, call):
    call.content_type = "audio/mpeg"
    hook = Returning(call, tokens)
    assert hook(b"\x00CARD_") == b"\x00CARD_"
    assert hook.rest() is None


def test_a_whole_text_is_not_held_back_and_the_items_of_an_iterator_are(tokens, call):
    hook = Returning(call, tokens)
    assert hook("ends in CARD_") == "ends in CARD_"
    call.stream = True
    assert hook("ends in CARD_") == "ends in "
    assert hook.rest() == "CARD_"
    assert hook.rest() is None
