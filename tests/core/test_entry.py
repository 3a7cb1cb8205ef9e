"""The record: its public form, round trips, and which field belongs to which class."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from auditmw import AuditEntry
from auditmw.entry import (
    CORE_FIELDS,
    FIELD_CLASSES,
    JSON_FIELDS,
    JSON_NAMES,
    KINDS,
    STATUSES,
    Cost,
    Whole,
    decimal_text,
    to_datetime,
    to_rfc3339,
    to_us,
)
from auditmw.errors import ConfigurationError
from auditmw.sealing import decode, encode

MICROSECONDS = st.integers(0, 4_102_444_800_000_000)
INTEGERS = st.none() | st.integers(0, 2**53 - 1)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)
TEXT = st.none() | WORDS
JSON = st.none() | st.dictionaries(WORDS, st.integers(0, 10) | st.booleans() | WORDS)


def strategy_of(field: msgspec.structs.FieldInfo):
    kinds = {
        "kind": st.sampled_from(KINDS),
        "status": st.sampled_from(STATUSES),
        "cost_status": st.none() | st.sampled_from(["priced", "partial", "unknown_model", "no_usage", "not_billed"]),
        "tool_names": st.none() | st.lists(WORDS, max_size=3),
        "sanitization": st.none() | st.dictionaries(WORDS, st.integers(0, 9)),
        "stream": st.none() | st.booleans(),
        "usage_complete": st.none() | st.booleans(),
        "request_id": st.uuids().map(str),
        "extra": st.none(),
    }
    if field.name in kinds:
        return kinds[field.name]
    if field.name in JSON_FIELDS:
        return JSON
    if field.name.endswith("_us"):
        return MICROSECONDS if field.required else st.none() | MICROSECONDS
    if field.type is Whole:
        return st.integers(0, 2**31)
    if field.type == Whole | None:
        return INTEGERS
    return TEXT


ENTRIES = st.builds(
    AuditEntry, **{f.name: strategy_of(f) for f in msgspec.structs.fields(AuditEntry) if f.name != "content"}
)


@given(ENTRIES)
def test_an_entry_survives_json(entry):
    assert AuditEntry.from_json(entry.to_json()) == entry
    assert AuditEntry.from_dict(entry.to_dict()) == entry


@given(ENTRIES)
def test_an_entry_survives_the_journal(entry):
    assert decode(encode(entry)) == entry


@given(
    st.dictionaries(
        st.sampled_from([f.name for f in msgspec.structs.fields(AuditEntry) if f.name != "content"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
        | st.lists(st.integers()),
        max_size=5,
    )
)
@example({"model": 5, "latency_us": 2**60, "status": "done", "input_tokens": "many"})
def test_whatever_a_field_was_set_to_the_journal_gives_an_entry_of_the_right_types(nonsense):
    entry = AuditEntry("r", 1, content=b"sealed")
    for name, value in nonsense.items():
        msgspec.structs.force_setattr(entry, name, value)
    read = decode(encode(entry))
    assert msgspec.json.Decoder(AuditEntry).decode(msgspec.json.encode(read)) == read
    assert read.content == b"sealed"
    changed = [n for n, value in nonsense.items() if n != "audit_errors" and getattr(read, n) != value]
    if "audit_errors" not in nonsense:
        assert read.audit_errors == len(changed)


@given(ENTRIES)
def test_canonical_bytes_are_rfc_8785_of_the_fields_that_are_not_null(entry):
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "content"}
    assert entry.canonical() == rfc8785.dumps({k: v for k, v in fields.items() if v is not None})


def test_fields_of_a_newer_version_survive_in_extra():
    line = json.dumps({**AuditEntry("r", 1).to_dict(), "v": 2, "reasoning_effort": "high", "extra": {"older": 1}})
    entry = AuditEntry.from_json(line)
    assert entry.extra == {"older": 1, "reasoning_effort": "high"}
    assert entry.v == 2
    assert AuditEntry.from_json(entry.to_json()) == entry


def test_a_journal_of_an_older_or_newer_version_can_be_read():
    whole = msgspec.json.encode(AuditEntry("r", 1, user_id="alice"))
    fields = msgspec.json.decode(whole)
    assert decode(msgspec.json.encode(fields[:20])).user_id == "alice"
    assert decode(msgspec.json.encode([*fields, "unknown"])).user_id == "alice"


def test_the_json_names_are_those_of_the_contract():
    identity = "v stored_at request_id call_id attempt parent_id kind action"
    time = "timestamp logged_at latency_ms ttft_ms"
    who = "user_id subject session_id client_ip_hash tenant app app_version host"
    what = "provider model response_model stream stop_reason tool_names service_tier params_hash"
    usage = (
        "input_tokens cache_read_tokens cache_write_5m_tokens cache_write_1h_tokens output_tokens thinking_tokens "
        "usage_complete usage_raw"
    )
    money = "cost_usd cost_status price_source unit_prices"
    digests = "system_prompt_hash input_hash output_hash hash_key_id"
    privacy = "sanitization_count sanitization purpose legal_basis"
    outcome = "status error_type error_message http_status audit_errors"
    correlation = "provider_request_id response_id trace_id span_id"
    rest = "metadata extra writer seq leaf_index"
    parts = (identity, time, who, what, usage, money, digests, privacy, outcome, correlation, rest)
    contract = [name for part in parts for name in part.split()]
    assert set(contract) <= set(JSON_NAMES)
    entry = AuditEntry("r", 1)
    assert all(hasattr(entry, name) for name in contract)
    assert list(entry.to_dict()) == list(JSON_NAMES)


def test_every_field_but_the_leafs_place_is_in_exactly_one_class():
    classed = [name for names in FIELD_CLASSES.values() for name in names]
    assert sorted([*classed, *CORE_FIELDS, "leaf_index", "content"]) == sorted(AuditEntry.__struct_fields__)
    assert len(set(classed)) == len(classed)


def test_no_core_field_names_a_person():
    assert not {"user_id", "subject", "session_id", "client_ip_hash", "error_message", "metadata"} & set(CORE_FIELDS)


def test_the_new_fields_stand_at_the_end_and_have_defaults():
    required = [f.name for f in msgspec.structs.fields(AuditEntry) if f.required]
    assert required == ["request_id", "timestamp_us"] == list(AuditEntry.__struct_fields__[:2])


def test_an_entry_cannot_be_changed():
    entry = AuditEntry("r", 1)
    with pytest.raises(AttributeError):
        entry.user_id = "mallory"


# --- times and money --------------------------------------------------------------------------------------------------


def test_public_names_of_times_durations_and_money():
    entry = AuditEntry("r", 1_700_000_000_123_456, latency_us=1500, ttft_us=1, cost_nano=1_230_000, stored_at_us=0)
    assert entry.timestamp == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert entry.to_dict()["timestamp"] == "2023-11-14T22:13:20.123456Z"
    assert entry.to_dict()["stored_at"] == "1970-01-01T00:00:00.000000Z"
    assert entry.to_dict()["logged_at"] is None
    assert (entry.latency_ms, entry.ttft_ms) == (1.5, 0.001)
    assert entry.cost_usd == Decimal("0.00123")
    assert entry.to_dict()["cost_usd"] == entry.cost_text == "0.00123"
    assert entry.stored_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_absent_is_none_and_never_zero():
    entry = AuditEntry("r", 1)
    for name in ("logged_at", "stored_at", "latency_ms", "ttft_ms", "cost_usd", "cost_text", "input_tokens"):
        assert getattr(entry, name) is None
    assert Cost(status="no_usage").usd is None


@given(MICROSECONDS)
def test_times_survive_the_way_there_and_back(us):
    assert to_us(to_datetime(us)) == us
    assert to_us(datetime.fromisoformat(to_rfc3339(us))) == us


def test_a_time_of_any_zone_is_taken_and_a_naive_one_refused():
    east = timezone(timedelta(hours=2))
    assert to_us(datetime(1970, 1, 1, 2, tzinfo=east)) == 0
    with pytest.raises(ConfigurationError, match="no time zone"):
        to_us(datetime(1970, 1, 1))  # noqa: DTZ001  (that is the mistake)


@given(st.integers(-(10**18), 10**18))
@example(1)
@example(-1)
@example(10**9)
def test_money_is_plain_exact_text(nano):
    text = decimal_text(nano)
    assert Decimal(text) == Decimal(nano).scaleb(-9) == Cost(status="priced", nano=nano).usd
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))


def test_costs_without_a_fraction_keep_their_zeros():
    assert [decimal_text(n * 10**9) for n in (0, 10, 100, -20)] == ["0", "10", "100", "-20"]
