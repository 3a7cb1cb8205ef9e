"""Negotiated prices, and what is said about malformed ones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from auditmw.call import Call
from auditmw.entry import AuditEntry, Cost, Usage, to_us
from auditmw.errors import ConfigurationError
from auditmw.prices import PriceBook, recompute
from auditmw.prices.arithmetic import divide_half_even, plain_text


def price(overrides: dict, model: str = "claude-sonnet-5-5", **changes: Any) -> Cost:
    when = changes.pop("when", datetime(2026, 11, 20, tzinfo=UTC))
    raw = changes.pop("raw", {})
    usage = {k: changes.pop(k) for k in list(changes) if k in Usage.__struct_fields__} or {"input_tokens": 1000}
    call = Call(request_id="r", timestamp_us=to_us(when), provider="anthropic", model=model)
    call.service_tier = raw.get("service_tier")
    call.usage = Usage(**{"output_tokens": 0, "raw": raw} | usage)
    for name, value in changes.items():
        setattr(call, name, value)
    book = PriceBook(overrides)
    cost = book.price(call)
    assert book.lookup(call) in (None, cost)
    return cost


def test_a_negotiated_price_beats_the_list() -> None:
    cost = price({"claude-sonnet-5-5": {"input": "1.8", "output": 9}})
    assert cost.nano == 1_800_000
    assert cost.source is not None
    assert cost.source.startswith("override:")


def test_a_price_under_the_providers_name_beats_one_under_the_model_alone() -> None:
    rows = {"claude-sonnet-5-5": {"input": 1, "output": 1}, "Anthropic/Claude-Sonnet-5-5": {"input": 3, "output": 1}}
    assert price(rows).nano == 3_000_000


def test_a_negotiated_price_holds_for_dated_names_of_the_model_and_for_the_asked_name() -> None:
    rows = {"claude-sonnet-5-5": {"input": 1, "output": 1}, "my-deployment": {"input": 4, "output": 1}}
    assert price(rows, response_model="claude-sonnet-5-5-20260901").nano == 1_000_000
    assert price(rows, "my-deployment", response_model="gpt-6-sol-2026-05-05").nano == 4_000_000


def test_rows_hold_from_a_day_until_the_day_before_the_other() -> None:
    rows = {
        "claude-sonnet-5-5": [
            {"input": 1, "output": 1, "valid_until": "2026-11-20"},
            {"input": 2, "output": 1, "valid_from": date(2026, 11, 20), "valid_until": "2026-11-21"},
        ]
    }
    assert price(rows, when=datetime(2026, 11, 19, 23, 59, tzinfo=UTC)).nano == 1_000_000
    assert price(rows, when=datetime(2026, 11, 20, tzinfo=UTC)).nano == 2_000_000
    listed = price(rows, when=datetime(2026, 11, 21, tzinfo=UTC))
    assert listed.source is not None
    assert listed.source.startswith("genai-prices")


def test_cached_tokens_without_a_price_cost_what_other_input_costs() -> None:
    rows = {"claude-sonnet-5-5": {"input": 1, "output": 1}}
    for kind in ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"):
        cost = price(rows, input_tokens=0, **{kind: 10})
        assert (cost.status, cost.nano) == ("priced", 10_000)


def test_rows_may_have_tiers_modifiers_and_a_search_price() -> None:
    rows = {
        "claude-sonnet-5-5": {
            "input": "2",
            "output": "10",
            "web_search": "0.02",
            "above": {"200000": {"input": "4"}, 1000: {"input": "3"}},
            "modifiers": {"service_tier=batch": "0.5"},
        }
    }
    assert [price(rows, input_tokens=n).nano for n in (1000, 1001, 200_001)] == [2_000_000, 3_003_000, 800_004_000]
    raw = {"service_tier": "batch", "speed": "fast", "server_tool_use": {"web_search_requests": 2}}
    cost = price(rows, input_tokens=1000, raw=raw)
    assert cost.nano == 1_000_000 + 40_000_000
    assert cost.unit_prices is not None
    assert cost.unit_prices["applied"] == ["service_tier=batch"]
    assert cost.unit_prices["not_applied"] == ["speed=fast"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("text", "takes a mapping"),
        ({"": {}}, "is no model"),
        ({7: {}}, "is no model"),
        ({"m": "2"}, "must be a mapping"),
        ({"m": 2}, "must be a mapping"),
        ({"m": {"input": "2"}}, "needs output"),
        ({"m": {}}, "needs input and output"),
        ({"m": {"input": 2, "output": 2, "cached": 1}}, "unknown keys ['cached']"),
        ({"m": {"input": 0.1, "output": 2}}, "give a decimal as text"),
        ({"m": {"input": True, "output": 2}}, "give a decimal as text"),
        ({"m": {"input": "two", "output": 2}}, "no decimal number"),
        ({"m": {"input": "-1", "output": 2}}, "not negative"),
        ({"m": {"input": "NaN", "output": 2}}, "finite"),
        ({"m": {"input": 1, "output": 2, "above": {"many": {}}}}, "numbers of tokens"),
        ({"m": {"input": 1, "output": 2, "above": {"10": {"inputs": 1}}}}, "unknown keys ['inputs']"),
        ({"m": {"input": 1, "output": 2, "above": [1]}}, "must be a mapping"),
        ({"m": {"input": 1, "output": 2, "modifiers": {"speed=fast": 0.5}}}, "give a decimal as text"),
        ({"m": {"input": 1, "output": 2, "valid_from": "soon"}}, "no date"),
        ({"m": {"input": 1, "output": 2, "valid_from": 5}}, "no date"),
        ({"m": {"input": 1, "output": 2, "valid_from": "2026-01-02", "valid_until": "2026-01-02"}}, "before"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_malformed_price_table_is_refused_with_the_place(rows: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        PriceBook(rows)
    assert says in str(refused.value)


def test_unit_prices_of_another_entry_are_refused() -> None:
    entry = AuditEntry(request_id="r", timestamp_us=0, input_tokens=5)
    for prices in ({}, {"input": "x"}, {"parts": [{}, {}]}, {"parts": 7}):
        with pytest.raises(ConfigurationError, match="do not fit the entry"):
            recompute(prices, entry)


@pytest.mark.parametrize(
    ("amount", "denominator", "rounded"),
    [(5, 2, 2), (7, 2, 4), (5, 3, 2), (4, 3, 1), (6, 3, 2), (0, 7, 0)],
)
def test_division_rounds_half_to_even(amount: int, denominator: int, rounded: int) -> None:
    assert divide_half_even(amount, denominator) == rounded


def test_decimals_are_written_plainly() -> None:
    assert [plain_text(Decimal(t)) for t in ("2.50", "1E+2", "0.000125", "100", "0")] == [
        "2.5",
        "100",
        "0.000125",
        "100",
        "0",
    ]
