"""What answers cost: every modifier, every status, on the request path and by the writer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.call import Call
from auditmw.entry import AuditEntry, Cost, Usage, to_us
from auditmw.prices import PriceBook, recompute
from auditmw.prices import book as book_module

NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=UTC)
MILLION = 1_000_000

book = PriceBook()


def ended(model: str | None = "claude-sonnet-5-5", **changes: Any) -> Call:
    """A call that has ended; usage fields are given by name, others change the call."""
    counts = {k: changes.pop(k) for k in list(changes) if k in Usage.__struct_fields__}
    when = changes.pop("when", NOVEMBER)
    call = Call(request_id="r", timestamp_us=to_us(when), provider="anthropic", model=model)
    call.response_model, call.status = model, "success"
    raw = counts.get("raw") or {}
    call.service_tier = raw.get("service_tier")
    if counts:
        call.usage = Usage(**{"input_tokens": 0, "output_tokens": 0} | counts)
    for name, value in changes.items():
        setattr(call, name, value)
    return call


def entry_of(call: Call, cost: Cost) -> AuditEntry:
    usage = call.usage or Usage(complete=False)
    return AuditEntry(
        request_id=call.request_id,
        timestamp_us=call.timestamp_us,
        provider=call.provider,
        host=call.host,
        model=call.model,
        response_model=call.response_model,
        service_tier=call.service_tier,
        status=call.status or "success",
        http_status=call.http_status,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
        usage_complete=usage.complete if call.usage else None,
        usage_raw=usage.raw,
        cost_nano=cost.nano,
        cost_status=cost.status,
        unit_prices=cost.unit_prices,
    )


def price(call: Call) -> Cost:
    """The cost as the writer works it out, which must be what the request path then finds and what recomputes."""
    cost = book.price(call)
    entry = entry_of(call, cost)
    assert book.price(entry) == cost
    assert book.lookup(call) in (None, cost)
    if cost.unit_prices is not None:
        assert recompute(cost.unit_prices, AuditEntry.from_json(entry.to_json())) == cost.nano
    return cost


def usd(call: Call) -> Decimal | None:
    return price(call).usd


def test_plain_counts_are_priced_at_list_prices() -> None:
    call = ended(input_tokens=MILLION, output_tokens=MILLION, cache_read_tokens=MILLION, raw={})
    cost = price(call)
    assert (cost.status, cost.usd) == ("priced", Decimal("12.1"))
    assert cost.source is not None
    assert cost.source.startswith("genai-prices ")
    assert cost.unit_prices == {
        "model": "claude-sonnet-5-5",
        "provider": "anthropic",
        "input": "2",
        "output": "10",
        "cache_read": "0.1",
        "cache_write_5m": "2.5",
        "cache_write_1h": "4",
    }


def test_the_request_path_finds_a_price_only_once_the_writer_has_worked_it_out() -> None:
    fresh, call = PriceBook(), ended(input_tokens=5)
    assert fresh.lookup(call) is None
    cost = fresh.price(call)
    assert fresh.lookup(call) == cost
    assert fresh.lookup(ended(input_tokens=5, when=datetime(2026, 11, 21, tzinfo=UTC))) is None


def test_cache_writes_of_five_minutes_and_an_hour_have_two_prices_and_a_missing_split_is_flagged() -> None:
    """Sentence 9."""
    split = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20}
    told = {"cache_creation_input_tokens": 50, "cache_creation": split}
    cost = price(ended(cache_write_5m_tokens=30, cache_write_1h_tokens=20, raw=told))
    assert (cost.status, cost.nano) == ("priced", 30 * 2500 + 20 * 4000)
    assert cost.unit_prices is not None
    assert "assumed" not in cost.unit_prices
    untold = price(ended(cache_write_5m_tokens=50, raw={"cache_creation_input_tokens": 50}))
    assert untold.nano == 50 * 2500
    assert untold.unit_prices is not None
    assert untold.unit_prices["assumed"] == ["cache_write_5m"]


@pytest.mark.parametrize(("day", "price_of_a_million"), [(6, "0.2"), (7, "0.1")])
def test_the_cache_read_price_goes_by_model_and_date(day: int, price_of_a_million: str) -> None:
    """Sentence 10."""
    call = ended(cache_read_tokens=MILLION, when=datetime(2026, 10, day, 23, 59, tzinfo=UTC))
    assert usd(call) == Decimal(price_of_a_million)


@pytest.mark.parametrize(("prompt", "nano"), [(100_000, 100_000 * 100), (100_001, 100_001 * 500)])
def test_a_long_prompt_is_priced_at_the_higher_rate_for_all_tokens(prompt: int, nano: int) -> None:
    """Sentence 11."""
    cost = price(ended("claude-haiku-5-5", input_tokens=prompt))
    assert cost.nano == nano
    cached = price(ended("claude-haiku-5-5", input_tokens=prompt - 50_000, cache_read_tokens=50_000))
    assert cached.nano == (prompt - 50_000) * nano // prompt + 50_000 * nano // prompt // 10


@pytest.mark.parametrize(
    ("raw", "factor", "named"),
    [
        ({"service_tier": "batch"}, "0.5", {"applied": ["service_tier=batch"]}),
        ({"speed": "fast"}, "2", {"applied": ["speed=fast"]}),
        (
            {"inference_geo": "us"},
            "1.1",
            {"applied": ["inference_geo=us"], "multipliers": {"inference_geo": "1.1"}},
        ),
        ({"inference_geo": "eu"}, "1", {"not_applied": ["inference_geo=eu"]}),
        ({"service_tier": "priority"}, "1", {"not_applied": ["service_tier=priority"]}),
        ({"service_tier": "standard", "speed": "standard", "inference_geo": "global"}, "1", {}),
        ({"speed": ["no", "text"]}, "1", {}),
    ],
    ids=["batch", "fast", "us", "eu", "priority", "standard", "malformed"],
)
def test_each_modifier_changes_the_cost_or_is_named_as_not_applied(raw: dict, factor: str, named: dict) -> None:
    """Sentence 12."""
    counts = {"input_tokens": 1000, "output_tokens": 500, "cache_read_tokens": 200}
    base = price(ended("claude-opus-5-5", **counts))
    cost = price(ended("claude-opus-5-5", **counts, raw=raw))
    assert (base.nano, cost.nano) == (14_040_000, 14_040_000 * Decimal(factor))
    assert cost.unit_prices is not None
    assert {k: cost.unit_prices[k] for k in ("applied", "not_applied", "multipliers") if k in cost.unit_prices} == named


def test_a_batch_before_batch_prices_were_listed_is_named_as_not_applied() -> None:
    early = ended(input_tokens=1000, raw={"service_tier": "batch"}, when=datetime(2026, 10, 1, tzinfo=UTC))
    cost = price(early)
    assert cost.unit_prices is not None
    assert cost.unit_prices["not_applied"] == ["service_tier=batch"]


def iteration(kind: str, model: str | None = None, **counts: int) -> dict:
    return {"type": kind, "input_tokens": 0, "output_tokens": 0} | ({"model": model} if model else {}) | counts


def test_iterations_are_priced_per_entry_and_model_and_not_counted_twice() -> None:
    """Sentence 13."""
    iterations = [
        iteration("compaction", input_tokens=1000, output_tokens=100),
        iteration("message", "claude-fable-5-1", input_tokens=200),
        iteration("fallback_message", "claude-opus-4-8", input_tokens=300, output_tokens=50),
    ]
    raw = {"input_tokens": 500, "output_tokens": 50, "iterations": iterations}
    cost = price(ended("claude-opus-4-8", input_tokens=1500, output_tokens=150, raw=raw))
    compaction, hop, served = 1000 * 5000 + 100 * 25_000, 200 * 10_000, 300 * 5000 + 50 * 25_000
    assert (cost.status, cost.nano) == ("priced", compaction + hop + served)


def test_one_unknown_model_among_the_iterations_leaves_the_cost_unknown() -> None:
    raw = {"iterations": [iteration("message", input_tokens=1), iteration("advisor_message", "claude-sphinx-9")]}
    assert price(ended(input_tokens=1, raw=raw)).status == "unknown_model"


def test_thinking_tokens_are_never_added_on_top_of_output_tokens() -> None:
    """Sentence 14."""
    spent = {"output_tokens_details": {"thinking_tokens": 400}}
    with_thinking = price(ended(output_tokens=500, thinking_tokens=400, raw=spent))
    assert with_thinking.nano == price(ended(output_tokens=500)).nano


@pytest.mark.parametrize("model", ["claude-sphinx-9", "claude-opus-4-8-anything", "", None], ids=str)
def test_an_unknown_model_has_no_cost_and_the_status_unknown_model(model: str | None) -> None:
    """Sentence 15."""
    cost = price(ended(model, input_tokens=1000))
    assert (cost.status, cost.nano, cost.usd, cost.unit_prices) == ("unknown_model", None, None, None)


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-8-20260501",
        "claude-opus-4-8@20260501",
        "claude-opus-4-8-2026-05-01",
        "CLAUDE-OPUS-4-8",
        "claude-opus-4-8-latest",
    ],
)
def test_a_date_or_version_after_a_models_name_is_the_same_model(model: str) -> None:
    assert price(ended(model, input_tokens=1000)).nano == 5_000_000


@pytest.mark.parametrize(
    ("model", "host", "nano"),
    [
        ("us.anthropic.claude-opus-4-6-v1:0", "bedrock-runtime.us-east-1.amazonaws.com", 5_500_000),
        ("global.anthropic.claude-opus-4-6-v1:0", "bedrock-runtime.us-east-1.amazonaws.com", 5_000_000),
        ("anthropic.claude-sonnet-5-5", "bedrock-runtime.eu-west-1.amazonaws.com", 2_200_000),
        ("claude-sonnet-4-5@20250929", "us-east5-aiplatform.googleapis.com", 3_000_000),
        ("claude-sonnet-5-5", "mine.services.ai.azure.com", 2_000_000),
    ],
)
def test_the_platform_that_was_called_decides_whose_list_counts(model: str, host: str, nano: int) -> None:
    served = "claude-sonnet-5-5" if "bedrock" in host else model
    assert price(ended(model, input_tokens=1000, host=host, response_model=served)).nano == nano


def test_a_provider_named_as_opentelemetry_does_is_a_platform_too() -> None:
    cost = price(ended("anthropic.claude-sonnet-5-5", input_tokens=1000, provider="aws.bedrock"))
    assert cost.nano == 2_200_000


def test_the_served_model_is_priced_not_the_asked_one() -> None:
    assert price(ended("claude-opus-4-8", input_tokens=1000, response_model="claude-sonnet-5-5")).nano == 2_000_000
    assert price(ended("claude-opus-4-8", input_tokens=1000, response_model=None)).nano == 5_000_000


def test_without_a_provider_the_models_own_list_counts() -> None:
    assert price(ended(provider=None, input_tokens=1000)).nano == 2_000_000
    own = PriceBook({"m": {"input": 1, "output": 1}}).price(ended("m", provider=None, input_tokens=1))
    assert own.unit_prices is not None
    assert "provider" not in own.unit_prices


def test_a_model_that_is_not_priced_by_input_and_output_is_unknown() -> None:
    assert price(ended("whisper-1", provider="openai", input_tokens=1000)).status == "unknown_model"


def test_web_searches_add_their_fee() -> None:
    raw = {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2}}
    cost = price(ended(input_tokens=1000, raw=raw))
    assert (cost.status, cost.nano) == ("priced", 2_000_000 + 30_000_000)
    assert cost.unit_prices is not None
    assert cost.unit_prices["fees"] == {"web_search": "0.01"}


def test_a_search_without_a_listed_fee_is_a_lower_bound() -> None:
    raw = {"tool_usage": {"web_search": {"num_requests": 1}}}
    cost = price(ended("gpt-6.2-sol", input_tokens=1000, raw=raw, provider="openai"))
    assert (cost.status, cost.nano) == ("partial", 2_000_000)
    assert cost.unit_prices is not None
    assert cost.unit_prices["not_applied"] == ["web_search"]


def test_openai_tiers_are_priced_as_served_and_unknown_ones_named() -> None:
    def served(tier: str) -> Cost:
        call = ended("gpt-6.1-sol-2026-09-30", input_tokens=1000, provider="openai", raw={})
        call.service_tier = tier
        return price(call)

    assert [served(tier).nano for tier in ("default", "flex", "priority")] == [2_000_000, 1_000_000, 4_000_000]
    ultra = served("ultrafast")
    assert ultra.unit_prices is not None
    assert ultra.unit_prices["not_applied"] == ["service_tier=ultrafast"]


@pytest.mark.parametrize(
    ("day", "factor"), [(datetime(2027, 2, 28, tzinfo=UTC), 3), (datetime(2027, 3, 1, tzinfo=UTC), 6)]
)
def test_a_model_that_the_list_lacks_is_priced_by_the_shipped_corrections(day: datetime, factor: int) -> None:
    call = ended("gpt-6.2-sol", input_tokens=1000, cache_write_1h_tokens=10, provider="openai", when=day)
    assert price(call).nano == 2_050_000
    call.service_tier = "ultrafast"
    cost = price(call)
    assert cost.nano == 2_050_000 * factor
    assert cost.source is not None
    assert cost.source.startswith("auditmw corrections sha256:")
    long = ended("gpt-6.2-sol", input_tokens=272_001, provider="openai", when=day)
    assert price(long).nano == 272_001 * 4000


def test_an_hour_of_cache_without_its_own_price_is_a_lower_bound() -> None:
    cost = price(ended("gpt-6.1-sol", cache_write_1h_tokens=1000, provider="openai", raw={}))
    assert (cost.status, cost.nano) == ("partial", 2_500_000)
    assert book.lookup(ended("gpt-6.1-sol", cache_write_1h_tokens=1000, provider="openai", raw={})) is None


def test_audio_and_images_that_are_not_priced_make_a_lower_bound() -> None:
    raw = {"prompt_tokens_details": {"audio_tokens": 5}, "tool_usage": {"image_gen": {"output_tokens": 7}}}
    cost = price(ended("gpt-6.1-sol", input_tokens=1000, provider="openai", raw=raw))
    assert cost.status == "partial"
    assert cost.unit_prices is not None
    assert cost.unit_prices["not_applied"] == ["audio", "image_generation"]


def test_hosted_tools_that_were_not_used_stay_on_the_fast_path() -> None:
    raw = {"tool_usage": {"web_search": {"num_requests": 0}, "image_gen": {"output_tokens": 0}}}
    call = ended("gpt-6.1-sol", input_tokens=1000, provider="openai", raw=raw)
    assert book.price(call) == book.lookup(call)


def test_usage_of_a_cut_answer_is_a_lower_bound() -> None:
    cost = price(ended(input_tokens=1000, output_tokens=None, complete=False, status="cancelled"))
    assert (cost.status, cost.nano) == ("partial", 2_000_000)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "blocked"}, "not_billed"),
        ({"status": "error", "http_status": 529}, "not_billed"),
        ({"status": "error"}, "no_usage"),
        ({"status": "success"}, "no_usage"),
    ],
    ids=["blocked", "http error", "connection error", "no usage"],
)
def test_what_was_not_billed_or_has_no_usage_has_no_cost_at_once(changes: dict, status: str) -> None:
    """Sentences 31 (items without a result carry no cost) and 32 (no usage is never 0)."""
    fresh = PriceBook()
    cost = fresh.lookup(ended(**changes))
    assert cost is not None
    assert (cost.status, cost.nano) == (status, None)
    assert fresh.price(ended(**changes)) == cost


def test_an_mid_stream_error_is_billed_for_what_came() -> None:
    cost = price(ended(input_tokens=1000, output_tokens=None, complete=False, status="error", http_status=200))
    assert cost.status == "partial"


def test_zero_tokens_cost_nothing_and_are_priced() -> None:
    assert (price(ended(input_tokens=0, output_tokens=0)).status, usd(ended(input_tokens=0))) == ("priced", 0)


def test_prices_that_change_within_a_day_are_not_cached() -> None:
    def at(hour: int) -> Call:
        when = datetime(2025, 6, 1, hour, tzinfo=UTC)
        return ended("deepseek-chat", input_tokens=1000, provider="deepseek", when=when)

    day, night = price(at(12)), price(at(18))
    assert day.nano is not None
    assert night.nano is not None
    assert day.nano > night.nano
    assert book.lookup(at(12)) is None


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "CACHED_QUOTES", 1)
    fresh = PriceBook()
    fresh.price(ended(input_tokens=1))
    fresh.price(ended("claude-opus-5-5", input_tokens=1))
    assert fresh.lookup(ended(input_tokens=1)) is None
    assert fresh.lookup(ended("claude-opus-5-5", input_tokens=1)) is not None


def test_a_list_that_was_fetched_later_says_so() -> None:
    from genai_prices import data_snapshot

    bundled = data_snapshot.get_snapshot()
    moment = datetime(2026, 11, 23, 8, tzinfo=UTC)
    data_snapshot.set_custom_snapshot(
        data_snapshot.DataSnapshot(providers=bundled.providers, from_auto_update=True, timestamp=moment)
    )
    try:
        source = PriceBook().price(ended(input_tokens=1)).source
    finally:
        data_snapshot.set_custom_snapshot(None)
    assert source is not None
    assert source.endswith("updated 2026-11-23T08:00:00+00:00")


MODELS = [
    ("anthropic", "claude-sonnet-5-5"),
    ("anthropic", "claude-haiku-5-5"),
    ("anthropic", "claude-opus-5-5"),
    ("openai", "gpt-6.1-sol"),
    ("openai", "gpt-6.2-sol"),
    ("openai", "gpt-4o"),
]
COUNTS = st.integers(0, 3_000_000)
RAWS = st.fixed_dictionaries(
    {},
    optional={
        "service_tier": st.sampled_from(["standard", "batch", "priority", "flex"]),
        "speed": st.sampled_from(["standard", "fast"]),
        "inference_geo": st.sampled_from(["us", "global", "eu"]),
        "server_tool_use": st.fixed_dictionaries({"web_search_requests": st.integers(0, 9)}),
        "iterations": st.lists(
            st.builds(
                iteration,
                st.sampled_from(["message", "compaction", "advisor_message"]),
                st.sampled_from([None, "claude-opus-5-5", "claude-haiku-5-5"]),
                input_tokens=COUNTS,
                output_tokens=COUNTS,
            ),
            max_size=3,
        ),
    },
)


@given(
    st.sampled_from(MODELS),
    RAWS,
    st.fixed_dictionaries(
        dict.fromkeys(
            ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"],
            COUNTS | st.none(),
        )
    ),
)
def test_every_stored_cost_recomputes_exactly_from_its_own_record(
    model: tuple[str, str], raw: dict, counts: dict[str, int | None]
) -> None:
    """Sentences 16 and 17: to the nanodollar, from strings and integers alone."""
    if model[0] == "openai":
        raw.pop("iterations", None)
    cost = price(ended(model[1], provider=model[0], raw=raw, **counts))
    assert cost.status in {"priced", "partial", "unknown_model", "no_usage"}
    assert not has_float(cost.unit_prices)


def has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_float(inner) for inner in value.values())
    return any(map(has_float, value)) if isinstance(value, list) else isinstance(value, float)


def test_a_stored_cost_recomputes_where_the_price_package_is_not_installed() -> None:
    """Sentence 16."""
    import subprocess
    import sys

    program = """
import sys
sys.modules["genai_prices"] = None
from auditmw.entry import AuditEntry
from auditmw.prices import recompute
entry = AuditEntry.from_json(sys.stdin.read())
print(recompute(entry.unit_prices, entry) == entry.cost_nano)
"""
    call = ended("claude-haiku-5-5", input_tokens=100_001, output_tokens=7, raw={"inference_geo": "us"})
    line = entry_of(call, price(call)).to_json()
    done = subprocess.run([sys.executable, "-c", program], input=line, capture_output=True, check=True)
    assert done.stdout == b"True\n"


def test_money_is_an_integer_or_a_decimal_everywhere() -> None:
    """Sentence 17."""
    cost = price(ended(input_tokens=1, output_tokens=1, raw={"inference_geo": "us"}))
    assert type(cost.nano) is int
    assert type(cost.usd) is Decimal


def test_half_a_nanodollar_is_rounded_to_even_once_on_the_total() -> None:
    own = PriceBook({"m": {"input": "0.0005", "output": "0.0005"}})
    assert [own.price(ended("m", input_tokens=n)).nano for n in (1, 2, 3, 4, 5)] == [0, 1, 2, 2, 2]
    assert own.price(ended("m", input_tokens=1, output_tokens=2)).nano == 2
    assert own.lookup(ended("m", input_tokens=3)) == own.price(ended("m", input_tokens=3))
