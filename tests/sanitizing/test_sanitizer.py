"""What the sanitizer takes out of a body, what it leaves, and that the caller's own objects stay as they are."""

from __future__ import annotations

import collections
import copy
import dataclasses
import enum
import gc
import json
import threading
import time
import types
import weakref
from collections import deque
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditmw.call import Call
from auditmw.errors import Blocked, ConfigurationError
from auditmw.middleware import Sanitizer
from auditmw.recognizers import KINDS, Finding, PatternRecognizer, scan
from auditmw.sanitizing import windows
from auditmw.sanitizing.document import Document

CARD = "4111 1111 1111 1111"
KEY = "ghp_" + "k3J8sLq0Zx7Vb2Nm5Tt9Rr1Yy4Ww6Cc8Hh0P"
IBAN = "DE89 3704 0044 0532 0130 00"
EMAIL = "alice@example.org"
PASSWORD = "Xk7#mQ2pL9"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n" * 3 + "-----END PRIVATE KEY-----"


def make_call(request=None, **fields) -> Call:
    return Call(request_id="r", timestamp_us=0, request=request, **fields)


def messages(*contents, **fields) -> dict:
    turns = [{"role": "user", "content": content} for content in contents]
    return {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": turns, **fields}


STRICT = Sanitizer.strict()


def restored(call):
    """The request as the answer's hook would put it back."""
    return call.chunk_hooks[0](call.request) if call.chunk_hooks else call.request


def said(call) -> str:
    return json.dumps(call.request, default=str)


# --- what is done -----------------------------------------------------------------------------------------------------


def test_secrets_passwords_cards_ibans_and_ssns_are_replaced_and_the_rest_is_counted(clean):
    body = messages(f"card {CARD}, key {KEY}, iban {IBAN}, mail {EMAIL}, password: {PASSWORD}, ssn 123-45-6789")
    call = clean(Sanitizer(), body)
    assert call.sanitization == {"CARD": 1, "SECRET": 1, "IBAN": 1, "EMAIL": 1, "PASSWORD": 1, "SSN": 1}
    assert call.sanitization_count == 6
    for value in (CARD, KEY, IBAN, PASSWORD, "123-45-6789"):
        assert value not in said(call)
    assert EMAIL in said(call)
    assert restored(call) == body


def test_strict_replaces_every_kind(clean):
    call = clean(STRICT, messages(f"mail {EMAIL} on 2024-05-17 from 192.168.17.4 see https://example.org/x"))
    assert call.sanitization == {"EMAIL": 1, "DATE": 1, "IP": 1, "URL": 1}
    assert set(STRICT._actions) == KINDS
    assert EMAIL not in said(call)


def test_without_a_finding_the_body_stays_the_same_object(clean):
    body = messages("nothing to see", system="be brief")
    call = clean(Sanitizer(), body)
    assert call.request is body
    assert call.sanitization == {}
    assert call.sanitization_count == 0
    assert call.chunk_hooks is None


def test_what_is_only_counted_leaves_the_body_alone(clean):
    body = messages(f"mail {EMAIL}")
    call = clean(Sanitizer(), body)
    assert call.request is body
    assert call.sanitization == {"EMAIL": 1}


def test_without_a_body_nothing_was_scanned(clean):
    call = clean(Sanitizer(), None)
    assert call.sanitization is None
    assert call.sanitizer_rules is None


def test_a_model_name_is_read_once_and_a_name_that_hides_something_each_time(clean):
    sanitizer = Sanitizer()
    for _ in range(2):
        assert clean(sanitizer, messages("x")).sanitization == {}
        assert clean(sanitizer, messages("x", model=CARD)).sanitization == {"CARD": 1}
        assert clean(sanitizer, messages("x", model=3)).sanitization == {}
    assert sanitizer._clean_models == {"claude-sonnet-5-5"}


def test_a_mask_is_the_same_for_all_and_a_hash_for_equal_values(clean):
    sanitizer = Sanitizer({"EMAIL": "mask", "CARD": "hash"})
    call = clean(sanitizer, messages(f"{EMAIL} and bob@example.org pay {CARD}, {CARD} or 5555 5555 5555 4444"))
    text = call.request["messages"][0]["content"]
    words = text.split()
    assert text.startswith("[EMAIL] and [EMAIL] pay [CARD:")
    assert words[4].rstrip(",") == words[5] != words[7]
    assert call.chunk_hooks is None


def test_a_blocked_kind_refuses_the_call_and_names_no_value():
    call = make_call(messages(f"key {KEY}"))
    with pytest.raises(Blocked) as caught:
        next(Sanitizer({"SECRET": "block"}).around(call))
    assert "SECRET" in caught.value.reason
    assert KEY not in caught.value.reason
    assert call.sanitization == {"SECRET": 1}


def test_the_same_value_has_the_same_token_in_a_session_whatever_the_request(clean):
    sanitizer = Sanitizer()
    first = clean(sanitizer, messages(f"pay {CARD}"), session_id="s").request["messages"][0]["content"]
    again = clean(sanitizer, messages("before", f"pay {CARD}"), session_id="s").request["messages"][1]["content"]
    other = clean(sanitizer, messages(f"pay {CARD}"), session_id="t").request["messages"][0]["content"]
    assert first == again != other


def test_a_token_in_the_prompt_is_not_the_value(clean):
    sanitizer = Sanitizer()
    token = clean(sanitizer, messages(CARD)).request["messages"][0]["content"]
    body = messages(f"what is {token.lower()}?", f"pay {CARD}")
    call = clean(sanitizer, body)
    assert restored(call) == body
    assert call.request["messages"][0]["content"] == body["messages"][0]["content"]


def test_without_restoring_tokens_stay(clean):
    call = clean(Sanitizer(restore=False), messages(CARD))
    assert CARD not in said(call)
    assert call.chunk_hooks is None


def test_the_rules_in_force_are_noted_and_change_with_ones_own(clean):
    plain = clean(Sanitizer(), messages("x")).sanitizer_rules
    own = clean(Sanitizer(recognizers=[PatternRecognizer("TICKET", r"T-[0-9]{6}")]), messages("x")).sanitizer_rules
    assert plain.partition(":")[0] == own.partition(":")[0]
    assert plain != own
    assert len(plain.partition(":")[2]) == 16


@pytest.mark.parametrize(
    "options", [{"actions": {"CARD": "hide"}}, {"actions": {"CARDS": "mask"}}, {"on_error": "ignore"}], ids=str
)
def test_a_wrong_option_is_refused_with_what_would_be_right(options):
    with pytest.raises(ConfigurationError, match="use "):
        Sanitizer(**options)


# --- where it looks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        messages("x", system=CARD),
        messages("x", system=[{"type": "text", "text": CARD, "cache_control": {"type": "ephemeral"}}]),
        messages([{"type": "text", "text": CARD}]),
        messages("x", tools=[{"name": "t", "description": CARD, "input_schema": {"type": "object"}}]),
        messages("x", tools=[{"name": "t", "input_schema": {"properties": {"c": {"enum": ["a", CARD]}}}}]),
        messages([{"type": "tool_use", "id": "t", "name": "n", "input": {"a": [{"b": CARD}]}}]),
        messages([{"type": "tool_use", "id": "t", "name": "n", "input": {CARD: 1}}]),
        messages([{"type": "tool_use", "id": "t", "name": "n", "input": {"card": 4111111111111111}}]),
        messages([{"type": "tool_use", "id": "t", "name": "n", "input": {"type": "thinking", "thinking": CARD}}]),
        messages([{"type": "tool_use", "id": "t", "name": "n", "input": {"data": f"iVBORw0KGgo {CARD}"}}]),
        messages([{"type": "tool_result", "tool_use_id": "t", "content": CARD}]),
        messages([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": CARD}]}]),
        messages([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": CARD}}]),
        messages([{"type": "document", "title": CARD, "source": {"type": "file", "file_id": "f"}}]),
        messages([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": CARD}}]),
        messages("x", metadata={"user_id": CARD}),
        messages("x", stop_sequences=[CARD]),
        {"model": "gpt-5", "messages": [{"role": "tool", "tool_call_id": "c", "content": CARD}]},
        {"model": "gpt-5", "messages": [{"role": "user", "name": CARD, "content": "x"}]},
        {
            "model": "gpt-5",
            "messages": [
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": f'{{"c": "{CARD}"}}'}}]}
            ],
        },
        {"model": "gpt-5", "input": CARD, "instructions": "x"},
        {"model": "gpt-5", "input": [{"type": "function_call_output", "call_id": "c", "output": CARD}]},
        {"model": "gpt-5", "input": [{"role": "user", "content": [{"type": "input_text", "text": CARD}]}]},
        {"requests": [{"custom_id": "1", "params": messages(CARD)}]},
        CARD,
        [CARD],
    ],
    ids=lambda body: json.dumps(body)[-60:],
)
def test_a_card_is_found_wherever_it_stands(clean, body):
    before = copy.deepcopy(body)
    call = clean(Sanitizer(), body)
    assert "4111" not in said(call)
    assert call.sanitization == {"CARD": 1}
    assert body == before
    if "4111111111111111" not in json.dumps(body):  # a number comes back as text
        assert restored(call) == body


def test_a_key_lends_its_meaning_to_its_value(clean):
    call = clean(
        Sanitizer(),
        messages([{"type": "tool_use", "id": "t", "name": "n", "input": {"password": PASSWORD, "ssn": 123456789}}]),
    )
    assert call.sanitization == {"PASSWORD": 1, "SSN": 1}


def test_limits_and_counts_stay_numbers(clean):
    body = messages(CARD, max_tokens=64000, thinking={"type": "enabled", "budget_tokens": 32000}, temperature=0.5)
    call = clean(STRICT, body)
    assert {**call.request, "messages": None} == {**body, "messages": None}


@pytest.mark.parametrize(
    ("block", "count"),
    [
        ({"type": "thinking", "thinking": CARD, "signature": KEY}, 1),
        ({"type": "redacted_thinking", "data": KEY}, 1),
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" + "A" * 99},
            },
            1,
        ),
        ({"type": "document", "source": {"type": "base64", "data": "JVBERi0" + "A" * 99}}, 1),
        ({"type": "web_search_result", "url": "a.example", "encrypted_content": KEY}, 1),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo" + "A" * 99}}, 1),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_what_is_signed_encrypted_or_a_picture_is_left_and_counted(clean, block, count):
    call = clean(Sanitizer(), messages([{"type": "text", "text": CARD}, block]))
    assert call.request["messages"][0]["content"][1] == block
    assert call.sanitization == {"CARD": 1, "NOT_SCANNED": count}
    assert call.sanitization_count == 1


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": f"//validate before charging\n// test card {CARD}"},
        {"type": "text", "media_type": "text/plain", "data": f"//v{CARD.replace(' ', '')}"},
        {"type": "base64", "media_type": "application/pdf", "data": f"JVBERi0 {CARD}"},
    ],
)
def test_a_text_that_begins_like_a_picture_or_sound_is_read(clean, source):
    call = clean(Sanitizer(), messages([{"type": "document", "source": source}]))
    assert call.sanitization == {"CARD": 1}
    assert "1111" not in call.request["messages"][0]["content"][0]["source"]["data"]


def test_a_file_that_only_claims_to_be_a_pdf_is_read(clean):
    call = clean(Sanitizer(), messages([{"file_data": f"data:application/pdf;base64,JVBERi0 {CARD}"}]))
    assert call.sanitization == {"CARD": 1}


def test_credentials_for_mcp_servers_go_where_they_are_needed(clean):
    servers = [{"type": "url", "url": "mcp.example", "name": "m", "authorization_token": KEY}]
    tools = [{"type": "mcp", "server_label": "m", "headers": {"authorization": f"Bearer {KEY}"}, "authorization": KEY}]
    body = messages("x", mcp_servers=servers, tools=tools)
    call = clean(Sanitizer(), body)
    assert call.request is body
    assert call.sanitization == {"NOT_SCANNED": 3}


def test_a_password_in_a_server_address_is_no_such_credential(clean):
    call = clean(Sanitizer(), messages("x", mcp_servers=[{"type": "url", "url": "https://u:Xk7mQ2pL9x@mcp.example"}]))
    assert "Xk7mQ2pL9x" not in said(call)


# --- across borders ---------------------------------------------------------------------------------------------------


def text_blocks(*texts):
    return [{"type": "text", "text": text} for text in texts]


@pytest.mark.parametrize("value", [CARD, KEY, IBAN, PEM], ids=["card", "key", "iban", "pem"])
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_value_is_found_across_neighbouring_blocks(clean, value, parts):
    size = -(-len(value) // parts)
    pieces = [value[start : start + size] for start in range(0, len(value), size)]
    pieces[0] = "it is " + pieces[0]
    pieces[-1] += " as you know"
    body = messages(text_blocks(*pieces))
    call = clean(Sanitizer(), body)
    assert call.sanitization_count == 1
    assert value[:4] not in said(call)
    assert value[-7:] not in said(call)
    assert all(block["text"] for block in call.request["messages"][0]["content"])
    assert restored(call) == body


@pytest.mark.parametrize(
    "body",
    [
        messages("pay 4111 1111", " 1111 1111 now"),
        messages(text_blocks("hi", "pay 4111 1111"), text_blocks(" 1111 1111 now", "ok")),
        messages("pay 4111 1111", text_blocks(" 1111 1111 now")),
        messages("x", system=text_blocks("pay 4111 1111", " 1111 1111 now")),
        messages([{"type": "tool_result", "content": text_blocks("pay 4111 1111", " 1111 1111 now")}]),
        messages(text_blocks("y" * 9000 + " pay 4111 1111", " 1111 1111 " + "y" * 9000, "z" * 5000 + " ok")),
    ],
)
def test_messages_of_one_role_and_all_lists_of_blocks_have_borders(clean, body):
    call = clean(Sanitizer(), body)
    assert call.sanitization == {"CARD": 1}
    assert restored(call) == body


@pytest.mark.parametrize(
    "body",
    [
        messages(text_blocks("a", "4111 1111"), [{"type": "image", "source": {}}, *text_blocks(" 1111 1111")]),
        messages([*text_blocks("a", "b"), 3, *text_blocks("c", "d")]),
        messages([*text_blocks("pay 4111 1111"), {"type": "image", "source": {}}, *text_blocks(" 1111 1111")]),
        {"messages": [{"role": "user", "content": "4111 1111"}, {"role": "assistant", "content": " 1111 1111"}]},
        {"system": "4111 1111", "messages": [{"role": "user", "content": " 1111 1111"}]},
        messages(["odd", 3, {"role": "user", "content": 3}, {"role": "user", "content": [3, {"text": 4}]}]),
    ],
)
def test_what_is_not_joined_has_no_border(clean, body):
    assert clean(Sanitizer(), body).sanitization == {}


def test_a_value_at_a_border_that_needs_no_neighbour_is_counted_once(clean):
    body = messages(text_blocks(f"mail {EMAIL}", f" and {CARD}", f"{IBAN} too"))
    assert clean(STRICT, body).sanitization == {"EMAIL": 1, "CARD": 1, "IBAN": 1}


def test_a_longer_value_across_a_border_takes_the_part_that_was_one_already(clean):
    body = messages(text_blocks("mail alice@example.co", "mpany.org please"))
    call = clean(STRICT, body)
    assert call.sanitization == {"EMAIL": 1}
    assert "example" not in said(call)
    assert "mpany" not in said(call)


def test_a_key_that_only_seems_to_go_on_in_an_unrelated_text_does_not_swallow_it(clean):
    body = messages(
        "x",
        system="a PEM begins with -----BEGIN PRIVATE KEY-----",
        tools=[{"description": "and ends with -----END PRIVATE KEY-----"}],
    )
    assert clean(Sanitizer(), body).request is body


# --- bad input --------------------------------------------------------------------------------------------------------


def test_surrogates_nul_and_odd_characters_hide_nothing_and_break_nothing(clean):
    body = messages(f"\ud800 {CARD}\x00 \udfff", {"\ud800": f"\x00{KEY}"})
    call = clean(Sanitizer(), body)
    assert call.sanitization == {"CARD": 1, "SECRET": 1}
    assert restored(call) == body


def test_ten_megabytes_are_scanned_to_the_end(clean):
    body = messages("lorem ipsum dolor " * 580_000 + CARD)
    started = time.monotonic()
    assert clean(Sanitizer(), body).sanitization == {"CARD": 1}
    assert time.monotonic() - started < 5


def test_deep_nesting_is_no_recursion(clean):
    for wrap in (lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (inner,)):
        body = CARD
        for _ in range(20_000):
            body = wrap(body)
        call = clean(Sanitizer(), body)
        inner = call.request
        while not isinstance(inner, str):
            inner = inner["a"] if isinstance(inner, dict) else inner[0]
        assert inner.startswith("CARD_")
        assert call.sanitization == {"CARD": 1}


def test_cyclic_and_shared_objects_keep_their_shape(clean):
    shared = {"k": CARD}
    body = {"a": shared, "b": [shared]}
    body["self"] = body
    shared["up"] = body["b"]
    request = clean(Sanitizer(), body).request
    assert request["self"] is request is not body
    assert request["a"] is request["b"][0]
    assert request["a"]["up"] is request["b"]
    assert request["a"]["k"].startswith("CARD_")
    assert shared["k"] == CARD


class Pair(NamedTuple):
    left: object
    right: object


class Colour(enum.Enum):
    RED = CARD


class Text(str):
    __slots__ = ()


@dataclasses.dataclass(frozen=True)
class Frozen:
    text: str
    others: tuple = ()


@dataclasses.dataclass(slots=True)
class Slotted:
    text: str


class Struct(msgspec.Struct, frozen=True):
    text: str


class Model(pydantic.BaseModel):
    model_config = {"extra": "allow"}
    text: str
    inner: list[Model] = []


@pytest.mark.parametrize(
    "value",
    [
        (CARD, ["x"]),
        ((("a", (CARD,)),), "b"),
        Pair(CARD, (CARD,)),
        {CARD},
        frozenset({("a", CARD)}),
        CARD.encode(),
        CARD.encode() + b"\xff",
        bytearray(CARD.encode()),
        {CARD: {CARD: CARD}},
        {4111111111111111: "x"},
        {("a", 4111111111111111): CARD},
        4111111111111111.0,
        deque([CARD]),
        types.MappingProxyType({"a": CARD}),
        collections.OrderedDict(a=CARD),
        collections.defaultdict(list, a=[CARD]),
        collections.UserDict(a=CARD),
        Text(CARD),
        Colour.RED,
        Frozen(CARD, (Frozen(CARD),)),
        Slotted(CARD),
        Struct(CARD),
        Model(text=CARD, inner=[Model(text=CARD)], more=CARD),
    ],
    ids=lambda value: f"{type(value).__name__} {str(value)[:30]!a}",
)
def test_every_form_of_data_is_read_and_copied(clean, value):
    before = copy.deepcopy(value) if not isinstance(value, types.MappingProxyType) else dict(value)
    call = clean(Sanitizer(), {"prompt": value})
    assert "4111" not in repr(call.request)
    assert "CARD_" in repr(call.request)
    assert value == before


def test_an_extra_field_of_a_model_is_changed_where_it_is_dumped(clean):
    request = clean(Sanitizer(), [Model(text="x", more=CARD)]).request
    assert request[0].model_dump()["more"] == request[0].more != CARD


def test_a_tuple_in_a_tuple_may_be_shared(clean):
    inner = (CARD, [])
    request = clean(Sanitizer(), [inner, (inner,), {"k": inner}]).request
    assert request[0] is request[1][0] is request[2]["k"]
    assert request[0][0].startswith("CARD_")


def test_two_keys_that_a_mask_makes_equal_stay_two(clean):
    call = clean(Sanitizer({"EMAIL": "mask"}), {EMAIL: 1, "bob@example.org": 2, "[EMAIL]''": 3})
    assert sorted(call.request.values()) == [1, 2, 3]


@pytest.mark.parametrize(
    "value",
    [date(2024, 5, 17), Decimal(4111111111111111), pytest.param(10**5000, id="huge"), float("nan"), None, True, 1e300],
)
def test_scalars_are_read_too(clean, value):
    clean(STRICT, {"v": value, "c": CARD})


@pytest.mark.parametrize(
    "value",
    [object(), lambda: CARD, (c for c in CARD), open(__file__, "rb")],  # noqa: SIM115, PTH123
    ids=["object", "function", "generator", "file"],
)
def test_what_cannot_be_read_is_not_let_through(value):
    call = make_call({"prompt": value})
    with pytest.raises(Blocked, match="cannot be read"):
        next(Sanitizer().around(call))
    assert call.error_type == "sanitizer_failed"
    assert call.audit_errors == 1
    if hasattr(value, "close"):
        value.close()


def test_the_value_in_json_inside_a_text_is_the_value_itself(clean):
    arguments = json.dumps({"key": PEM})
    body = {
        "messages": [
            {"role": "assistant", "tool_calls": [{"function": {"arguments": arguments}}]},
            {"role": "user", "content": PEM},
        ]
    }
    call = clean(Sanitizer(), body)
    changed = call.request["messages"]
    assert json.loads(changed[0]["tool_calls"][0]["function"]["arguments"])["key"] == changed[1]["content"]
    assert json.loads(restored(call)["messages"][0]["tool_calls"][0]["function"]["arguments"]) == {"key": PEM}


def test_a_value_that_is_cut_in_the_middle_of_an_escape_is_taken_as_it_stands(clean):
    body = {"arguments": 'password: "ab\\uZZ1#Q"'}
    call = clean(Sanitizer(), body)
    assert call.sanitization == {"PASSWORD": 1}
    assert "Z1#Q" not in call.request["arguments"]


json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([CARD, KEY, EMAIL, f"x{CARD}", PEM]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from([CARD, "type", "text", "content", "role", "data"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def without_numbers(value):
    """Large numbers come back as text, if they were found."""
    if isinstance(value, dict):
        return {key: without_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_numbers(inner) for inner in value]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


@settings(max_examples=200, deadline=None)
@given(body=json_data)
def test_replacing_and_restoring_any_body_is_the_identity(body):
    before = copy.deepcopy(body)
    call = make_call({"b": body})
    half = STRICT.around(call)
    next(half)
    assert without_numbers(restored(call)) == without_numbers({"b": before})
    assert str(body) == str(before)
    for value in (CARD, KEY, PEM):
        assert value not in said(call)


def round_trip(text):
    call = make_call(messages(text))
    next(STRICT.around(call))
    assert restored(call) == messages(text)


VALUES = [CARD, KEY, IBAN, EMAIL, PEM, f"password={PASSWORD}"]
PROMPTS = st.lists(
    st.sampled_from(
        [CARD, KEY, IBAN, EMAIL, f"password={PASSWORD}", "https://a.example/?q=1", "10.1.2.3", "CARD_aaaaaaaaaa"]
    )
    | st.text(max_size=30),
    max_size=8,
).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(text=PROMPTS)
def test_replacing_and_restoring_a_prompt_is_the_identity(text):
    round_trip(text)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(text=PROMPTS)
def test_replacing_and_restoring_ten_thousand_prompts_is_the_identity(text):
    round_trip(text)


@settings(max_examples=100, deadline=None)
@given(text=st.lists(st.sampled_from([*VALUES, "lorem", "x" * 90]), max_size=40).map(" ".join))
def test_a_text_in_windows_is_scanned_as_a_whole_one(text):
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("WINDOW", 100), ("BEFORE", 200), ("BEYOND", 600)):
            patch.setattr(windows, name, size)
        assert windows.scan_in_windows(text, scan) == scan(text)


# --- recognizers of others, and when they fail ------------------------------------------------------------------------


class Failing:
    name = "failing"
    kinds = ("ODD",)

    def find(self, view):
        raise ValueError(view.text)


class Slow:
    name = "slow"
    kinds = ("ODD",)

    def __init__(self):
        self.gate = threading.Event()

    def find(self, view):
        self.gate.wait(5)
        return []


class Everything:
    """Finds the whole text, over all borders; its kind is none that it has named."""

    name = "everything"
    kinds = ("ODD",)

    def find(self, view):
        yield Finding("NAMELESS", 0, len(view.text))


def test_the_kinds_of_ones_own_recognizers_are_replaced(clean):
    sanitizer = Sanitizer(recognizers=[PatternRecognizer("TICKET", r"T-[0-9]{6}")])
    call = clean(sanitizer, messages("see T-123456", text_blocks("or T-12", "3456 then")))
    assert call.sanitization == {"TICKET": 2}
    assert "3456" not in said(call)


def test_a_finding_over_all_texts_is_looked_for_in_each(clean):
    call = clean(Sanitizer(recognizers=[Everything()]), messages("one", "two", system="three"))
    assert not any(word in said(call).split('"') for word in ("one", "two", "three"))


def test_a_failing_recognizer_blocks_the_call():
    call = make_call(messages(EMAIL))
    with pytest.raises(Blocked, match="'failing' raised ValueError") as caught:
        next(Sanitizer(recognizers=[Failing()]).around(call))
    assert EMAIL not in caught.value.reason
    assert (call.error_type, call.audit_errors) == ("sanitizer_failed", 1)


def test_a_slow_recognizer_blocks_the_call():
    slow = Slow()
    with pytest.raises(Blocked, match=r"'slow' was not done after 0.01 s"):
        next(Sanitizer(recognizers=[slow], deadline=0.01).around(make_call(messages("x"))))
    slow.gate.set()


def test_where_all_is_removed_instead_the_entry_says_so(clean):
    call = clean(Sanitizer(recognizers=[Failing()], on_error="remove"), messages(f"{EMAIL} and {CARD}"))
    assert call.request["messages"][0]["content"] == "[EMAIL] and [CARD]"
    assert "all that was found was removed" in call.metadata["sanitizer_failed"]
    assert call.audit_errors == 1
    assert call.chunk_hooks is None


def test_where_it_is_let_through_what_was_found_is_still_taken_out(clean):
    call = clean(Sanitizer(recognizers=[Failing()], on_error="continue"), messages(f"{EMAIL} and {CARD}"))
    assert EMAIL in said(call)
    assert CARD not in said(call)
    assert "let through" in call.metadata["sanitizer_failed"]
    assert Sanitizer(on_error="continue").on_error == "continue"
    assert Sanitizer(on_error="remove").on_error == "block"


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_the_error_message_and_the_metadata_are_cleaned_keys_too():
    call = make_call(error_message=f"bad card {CARD}", metadata={"a": [KEY], CARD: 1, "team": "x"})
    given = call.metadata
    Sanitizer().clean_stored(call)
    stored = f"{call.error_message} {call.metadata}"
    assert CARD not in stored
    assert KEY not in stored
    assert call.metadata["team"] == "x"
    assert KEY in str(given)


def test_an_object_in_the_metadata_is_read_in_the_form_in_which_it_is_stored():
    call = make_call(metadata={"a": msgspec.Raw(json.dumps(CARD).encode()), "b": object(), CARD: b"x"})
    Sanitizer().clean_stored(call)
    assert CARD not in str(call.metadata)
    assert call.metadata["b"] == "<object>"


def test_what_is_blocked_in_a_request_is_replaced_in_what_is_stored():
    call = make_call(error_message=f"bad key {KEY}")
    Sanitizer({"SECRET": "block"}).clean_stored(call)
    assert call.error_message.startswith("bad key SECRET_")


def test_a_value_that_only_its_surroundings_gave_away_is_known_in_the_error():
    call = make_call(messages(f"password: {PASSWORD}"))
    halves = Sanitizer().around(call)
    next(halves)
    call.error_message = f"I cannot store {PASSWORD}"
    assert next(halves, None) is None
    assert PASSWORD not in call.error_message


def test_what_cannot_be_cleaned_is_not_stored():
    call = make_call(error_message="m", metadata={"a": 1})
    Sanitizer(recognizers=[Failing()]).clean_stored(call)
    assert (call.metadata, call.audit_errors) == ({}, 1)
    assert "not kept" in call.error_message
    call = make_call(metadata={"a": 1})
    Sanitizer(recognizers=[Failing()]).clean_stored(call)
    assert (call.metadata, call.error_message) == ({}, None)


def test_where_failures_are_let_through_they_are_stored():
    call = make_call(error_message="m", metadata={"a": 1})
    Sanitizer(recognizers=[Failing()], on_error="continue").clean_stored(call)
    assert (call.metadata, call.error_message, call.audit_errors) == ({"a": 1}, "m", 1)


def test_a_huge_error_message_is_read_as_far_as_it_is_stored():
    call = make_call(error_message="x" * 5_000_000)
    started = time.monotonic()
    Sanitizer().clean_stored(call)
    assert time.monotonic() - started < 0.5


# --- nothing global ---------------------------------------------------------------------------------------------------


def test_the_map_goes_with_its_request(clean):
    sanitizer = Sanitizer()
    call = clean(sanitizer, messages(CARD))
    hook = weakref.ref(call.chunk_hooks[0])
    del call
    gc.collect()
    assert hook() is None


def test_a_document_gives_every_text_once():
    document = Document({"model": "m", "messages": [{"role": "user", "content": "a"}], "x": {"k": "v", "n": 12345678}})
    assert sorted(map(document.text_of, document.segments)) == ["12345678", "a", "k", "m", "n", "v", "x"]
