"""Canonical bytes against the rfc8785 package, and values made safe whatever they are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections import OrderedDict, UserDict
from types import MappingProxyType

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from auditmw.canonical import MAX_DEPTH, MAX_INT, canonical_json, canonical_text, make_safe

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
SCALARS = (
    st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@given(JSON)
@example({"\U0001f600": 1, "\uffff": 2, "é": 3, "a": 4})  # UTF-16 sorts these otherwise than UTF-8
@example([1e21, 1e-7, 1.5, -0.0, 5e-324, 1.7976931348623157e308, 123456789012345680000.0, 0.000001])
@example({"a": '\x7f\x1f\u2028\ud7ff"\\/'})
def test_canonical_json_equals_rfc_8785(value):
    expected = rfc8785.dumps(value)
    assert canonical_json(value) == expected
    assert canonical_text(value).encode() == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_as_ecmascript_writes_it(value):
    assert canonical_json(value) == rfc8785.dumps(value)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs"]))
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.uuids()
    | st.complex_numbers()
    | st.just(object())
    | st.sampled_from([int, len, math, ..., NotImplemented]),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.floats() | st.none() | st.tuples(st.text()), inner)
    ),
    max_leaves=20,
)


@given(ANYTHING)
def test_anything_is_made_safe_and_stays_so(value):
    safe = make_safe(value)
    encoded = rfc8785.dumps(safe)  # refuses what RFC 8785 cannot hold
    assert b"\\u0000" not in encoded
    assert make_safe(safe) == safe
    canonical_json(value)  # never raises


UNSAFE_JSON = st.recursive(
    SCALARS | st.integers() | st.floats() | st.text(st.characters(categories=["Cs", "L", "Cc"])),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(UNSAFE_JSON)
@example(2**53)
@example([2**63, -(2**63), 2**64])
@example("a\x00b")
def test_what_the_standard_cannot_hold_is_made_safe_before_it_is_encoded(value):
    assert canonical_json(value) == rfc8785.dumps(make_safe(value))


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Word(str):
    __slots__ = ()


class Count(int):
    pass


class Ratio(float):
    pass


class Tone(str, enum.Enum):  # noqa: UP042  (its str() is not its value, unlike that of a StrEnum)
    HIGH = "high"
    LOW = "low"


class Point(msgspec.Struct):
    x: int


@dataclasses.dataclass
class Pair:
    left: int


class Hostile:
    """Raises whatever is done to it, even when it is asked for its class."""

    @property
    def __class__(self):
        raise RuntimeError("hands off")

    def __repr__(self):
        raise RuntimeError("hands off")

    def __getattr__(self, name):
        raise RuntimeError("hands off")


class HostileDict(dict):
    def items(self):
        raise RuntimeError("hands off")


class HostileKey:
    def __repr__(self):
        raise RuntimeError("hands off")


MADE_SAFE = [
    ("a\x00b\ud800c\udfff", "a\ufffdb\ufffdc\ufffd"),
    (2**53, "9007199254740992"),
    (-(2**63), "-9223372036854775808"),
    (2**53 - 1, 2**53 - 1),
    (math.nan, "NaN"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    ((1, 2), [1, 2]),
    ({"b", "a"}, ["a", "b"]),
    (frozenset(), []),
    (b"abc", "<bytes of 3 bytes>"),
    (bytearray(2), "<bytearray of 2 bytes>"),
    (object(), "<object>"),
    (len, "<builtin_function_or_method>"),
    (Colour.RED, "red"),
    (Number.ONE, 1),
    (Word("w"), "w"),
    (Count(2**70), str(2**70)),
    (Ratio("nan"), "NaN"),
    ({Tone.HIGH: Tone.LOW}, {"high": "low"}),
    (True, True),
    (Point(1), {"x": 1}),
    (Pair(1), {"left": 1}),
    (Pair(2**70), {"left": str(2**70)}),
    (decimal.Decimal("1.50"), "1.50"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
    (OrderedDict(a=(1,)), {"a": [1]}),
    (UserDict({"a": 1}), {"a": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ({1: "a", None: "b", 2.5: "c", (1, 2): "d"}, {"1": "a", "null": "b", "2.5": "c", "[1,2]": "d"}),
    ({"\ud800": 1}, {"\ufffd": 1}),
    (Hostile(), "<Hostile>"),
    ([Hostile()], ["<Hostile>"]),
    (HostileDict(a=1), "<HostileDict>"),
    ({HostileKey(): 1}, {"<HostileKey>": 1}),
]


@pytest.mark.parametrize(("value", "safe"), MADE_SAFE, ids=[str(place) for place in range(len(MADE_SAFE))])
def test_what_json_cannot_hold_becomes_the_nearest_thing(value, safe):
    assert make_safe(value) == safe


def test_a_number_too_long_to_be_written_is_written_in_hex():
    assert make_safe(10**5000).startswith("0x")


def test_a_cycle_is_named_and_a_value_used_twice_is_no_cycle():
    shared = [1]
    cyclic: list = [shared, shared]
    cyclic.append(cyclic)
    mapping: dict = {}
    mapping["self"] = mapping
    assert make_safe(cyclic) == [[1], [1], "<cycle>"]
    assert make_safe(mapping) == {"self": "<cycle>"}


def test_what_is_too_deep_is_cut():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    safe = make_safe(deep)
    assert json.dumps(safe).count("[") == MAX_DEPTH
    assert "<too deep>" in json.dumps(safe)


def test_a_value_that_doubles_at_every_level_is_cut(monkeypatch):
    monkeypatch.setattr("auditmw.canonical.MAX_NODES", 1000)
    value: list = ["x"]
    for _ in range(60):
        value = [value, value]
    text = json.dumps(make_safe(value))
    assert "<too much>" in text
    assert len(text) < 50_000


def test_different_keys_that_are_made_safe_alike_keep_the_last():
    assert make_safe({"\x00": 1, "\ufffd": 2}) == {"\ufffd": 2}


@pytest.mark.parametrize("text", ["if x is null", "[4111111111111111111", "the escape \\u0000", "\U0001f600 hello"])
def test_a_text_that_only_looks_unsafe_takes_the_fast_way(text, monkeypatch):
    value = [{"role": "user", "content": text, "stop": None}]
    expected = rfc8785.dumps(value)
    monkeypatch.setattr("auditmw.canonical.make_safe", None)
    assert canonical_json(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": math.nan, "b": None}, b'{"a":"NaN","b":null}'),
        (["a\0b"], '["a\ufffdb"]'.encode()),
        ({"a\0": 1}, '{"a\ufffd":1}'.encode()),
        ([2**60], b'["1152921504606846976"]'),
        ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'.encode()),
    ],
)
def test_what_is_unsafe_still_takes_the_slow_way(value, expected):
    assert canonical_json(value) == expected
