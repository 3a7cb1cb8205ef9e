"""The unit prices that hold for a model, a day and its modifiers, ready to be multiplied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from auditmw.iterations import Counts
from auditmw.prices.arithmetic import divide_half_even, integer_rates, plain_text
from auditmw.prices.table import TOKEN_PRICES

Tiers = Sequence[tuple[int, Mapping[str, Decimal]]]


class Tier(msgspec.Struct, frozen=True, gc=False):
    """Prices of requests with more tokens in the prompt than `above`."""

    above: int
    unit_prices: dict[str, Any]
    rates: Counts
    denominator: int
    web_search: str | None
    lists_1h: bool

    def nano(self, counts: Counts) -> int:
        """Nanodollars of plain token counts, the same as `recompute` gives."""
        rates = self.rates
        amount = (
            counts.input * rates.input
            + counts.cache_read * rates.cache_read
            + counts.cache_write_5m * rates.cache_write_5m
            + counts.cache_write_1h * rates.cache_write_1h
            + counts.output * rates.output
        )
        return divide_half_even(amount, self.denominator)


class Quote(msgspec.Struct, frozen=True, gc=False):
    """Unit prices of a model; no tiers where no list knows it."""

    source: str
    tiers: tuple[Tier, ...] = ()
    steady: bool = True

    def tier(self, counts: Counts) -> Tier:
        """The tier that the whole request falls in."""
        found, prompt = self.tiers[0], counts.prompt
        for tier in self.tiers:
            if prompt > tier.above:
                found = tier
        return found


def quote(
    *,
    source: str,
    provider: str | None,
    model: str,
    tiers: Tiers,
    multipliers: Mapping[str, Decimal],
    applied: Sequence[str],
    not_applied: Sequence[str],
    steady: bool = True,
) -> Quote:
    """A quote from sets of prices; what is not listed for cached tokens is the price of other input."""
    named: dict[str, Any] = {"model": model}
    if provider is not None:
        named["provider"] = provider
    if multipliers:
        named["multipliers"] = {name: plain_text(factor) for name, factor in multipliers.items()}
    if applied:
        named["applied"] = list(applied)
    if not_applied:
        named["not_applied"] = list(not_applied)
    return Quote(source, tuple(_tier(above, prices, named) for above, prices in tiers), steady)


def _tier(above: int, prices: Mapping[str, Decimal], named: dict[str, Any]) -> Tier:
    fallback = {"cache_read": prices["input"], "cache_write_5m": prices["input"]}
    full = fallback | dict(prices)
    full.setdefault("cache_write_1h", full["cache_write_5m"])
    unit_prices = named | {name: plain_text(full[name]) for name in TOKEN_PRICES}
    if above > 0:
        unit_prices["above"] = above
    rates, denominator = integer_rates(unit_prices)
    search = prices.get("web_search")
    return Tier(
        above=above,
        unit_prices=unit_prices,
        rates=rates,
        denominator=denominator,
        web_search=None if search is None else plain_text(search),
        lists_1h="cache_write_1h" in prices or "cache_write_5m" not in prices,
    )
