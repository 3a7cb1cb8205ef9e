"""List prices from genai-prices: dated, offline, decimal. Only its prices are used; the arithmetic is auditmw's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from auditmw.prices.names import means

_KEYS: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
}
_SEARCHES: Final = "web_searches_kcount"

Tiers = list[tuple[int, dict[str, Decimal]]]
"""Prices of a request whose prompt has more tokens than the number; the first number is -1."""


class Listing(msgspec.Struct, frozen=True):
    """What the list says of a model at a time."""

    model: str
    provider: str
    tiers: Tiers
    applied: list[str]
    not_applied: list[str]
    steady: bool
    """Whether the prices hold all day; some providers have cheaper hours."""
    updated: datetime | None
    """When the list was last fetched, if the application keeps it up to date."""


class PriceList:
    """genai-prices, imported when this is made (half a second, so not on a request's path)."""

    def __init__(self) -> None:
        import genai_prices
        from genai_prices import data, types

        self._library: Any = genai_prices
        self._time_of_day: Any = types.TimeOfDateConstraint
        digest = hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest()
        self.name: Final = f"genai-prices {genai_prices.__version__} sha256:{digest[:16]}"

    def source(self, listing: Listing) -> str:
        """The list's name, version and content, as an entry keeps it."""
        return self.name if listing.updated is None else f"{self.name} updated {listing.updated.isoformat()}"

    def find(self, platform: str | None, model: str, when: datetime, modifiers: Mapping[str, str]) -> Listing | None:
        """The prices of a model, or None if the list does not spell out its name."""
        found = self._calculate(platform, model, when, {})
        if found is None or not means(model, found.model):
            return None
        prices = found.model_price.__dict__
        applied, not_applied = [], []
        context: dict[str, str] = {}
        for name, value in modifiers.items():
            key = "processing" if value == "batch" else name
            modified = self._calculate(platform, model, when, context | {key: value})
            if modified.model_price.__dict__ == prices:
                not_applied.append(f"{name}={value}")
            else:
                prices, context[key] = modified.model_price.__dict__, value
                applied.append(f"{name}={value}")
        tiers = _tiers(prices)
        if not {"input", "output"} <= tiers[0][1].keys():
            return None
        listed = found.model.prices
        return Listing(
            model=found.model.id,
            provider=found.provider.id,
            tiers=tiers,
            applied=applied,
            not_applied=not_applied,
            steady=not isinstance(listed, list) or not any(isinstance(p.constraint, self._time_of_day) for p in listed),
            updated=found.auto_update_timestamp,
        )

    def _calculate(self, platform: str | None, model: str, when: datetime, context: dict[str, str]) -> Any:
        try:
            return self._library.calc_price(
                self._library.Usage(),
                model,
                provider_id=platform,
                genai_request_timestamp=when.astimezone(UTC),
                price_context=context,
            )
        except LookupError:
            return None


def _tiers(prices: Mapping[str, Any]) -> Tiers:
    """The list's tiers, which it keeps for each price, as whole sets of prices."""
    starts = sorted({-1, *(tier.start for price in prices.values() for tier in getattr(price, "tiers", ()))})
    return [(start, _at(prices, start)) for start in starts]


def _at(prices: Mapping[str, Any], start: int) -> dict[str, Decimal]:
    found = {name: _value(prices[key], start) for key, name in _KEYS.items() if prices.get(key) is not None}
    if (searches := prices.get(_SEARCHES)) is not None:
        found["web_search"] = _value(searches, start) / 1000
    return found


def _value(price: Any, start: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    value: Decimal = price.base
    for tier in price.tiers:
        if tier.start <= start:
            value = tier.price
    return value
