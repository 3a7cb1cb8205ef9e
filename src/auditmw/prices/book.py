"""The price book: what an answer cost, looked up on the request path, worked out by the writer."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from typing import Any, Final

import msgspec

from auditmw.call import Call
from auditmw.entry import AuditEntry, Cost, to_datetime
from auditmw.iterations import Part
from auditmw.prices import bill as bills
from auditmw.prices.arithmetic import total_nano
from auditmw.prices.bill import DAY_US, Bill, bill_of
from auditmw.prices.listed import Listing, PriceList
from auditmw.prices.names import candidates
from auditmw.prices.quote import Quote, Tier, quote
from auditmw.prices.table import PriceTable, Row

CACHED_QUOTES: Final = 4096
ORDINARY_TIERS: Final = frozenset({"standard", "default", "auto"})
ORDINARY_SPEEDS: Final = frozenset({"standard"})
ORDINARY_PLACES: Final = frozenset({"global", "not_available"})
PLACE_MULTIPLIERS: Final = {"us": Decimal("1.1")}
"""What Anthropic adds for inference in one place."""

NOT_BILLED: Final = Cost(status="not_billed")
NO_USAGE: Final = Cost(status="no_usage")


class PriceBook:
    """Unit prices: a user's own first, then corrections that ship with auditmw, then genai-prices.

    `lookup` is for the request path and only knows what `price` has worked out before; `price` is the writer's. A cost
    is None for an unknown model, never 0; `unit_prices` hold what `auditmw.prices.recompute` needs.

    Args:
        overrides: negotiated prices or prices of new models, see `auditmw.prices.table`.

    Raises:
        ConfigurationError: an override is malformed; the message says where.
    """

    def __init__(self, overrides: Mapping[str, Any] | None = None) -> None:
        self._overrides = PriceTable(overrides or {})
        self._lists: tuple[PriceTable, PriceList] | None = None
        self._quotes: dict[tuple[Any, ...], Quote] = {}

    def load(self) -> tuple[PriceTable, PriceList]:
        """The shipped corrections and the list, read once: it takes a while, so the writer does it when it starts."""
        if self._lists is None:
            self._lists = _shipped_corrections(), PriceList()
        return self._lists

    def lookup(self, source: Call | AuditEntry) -> Cost | None:
        """The cost of an answer from cached unit prices, in about two microseconds; None leaves it to `price`."""
        bill = bill_of(source)
        if (settled := _settled(bill)) is not None:
            return settled
        if not bills.is_plain(bill):
            return None
        found = self._quotes.get(_key(bill, None))
        if found is None:
            return None
        if not found.tiers:
            return Cost(status="unknown_model", source=found.source)
        tier = found.tier(bill.counts)
        if bill.counts.cache_write_1h and not tier.lists_1h:
            return None
        return Cost(
            status="priced" if bill.complete else "partial",
            nano=tier.nano(bill.counts),
            source=found.source,
            unit_prices=tier.unit_prices,
        )

    def price(self, source: Call | AuditEntry) -> Cost:
        """The cost of an answer; slow (up to a millisecond), and remembers the unit prices for `lookup`."""
        bill = bill_of(source)
        if (settled := _settled(bill)) is not None:
            return settled
        parts = bills.parts_of(bill.counts, bill.raw)
        quotes = [self._quote(bill, part) for part in parts]
        for found in quotes:
            if not found.tiers:
                return Cost(status="unknown_model", source=found.source)
        tiers = [found.tier(part.counts) for found, part in zip(quotes, parts, strict=True)]
        unit_prices, exact = _unit_prices(bill, parts, tiers)
        return Cost(
            status="priced" if exact and bill.complete else "partial",
            nano=total_nano(unit_prices, bill.counts, bill.raw),
            source=" + ".join(dict.fromkeys(found.source for found in quotes)),
            unit_prices=unit_prices,
        )

    def _quote(self, bill: Bill, part: Part) -> Quote:
        key = _key(bill, part.model)
        found = self._quotes.get(key)
        if found is None:
            found = self._work_out(bill, part.model or bill.priced_model)
            if found.steady:
                if len(self._quotes) >= CACHED_QUOTES:
                    self._quotes.clear()
                self._quotes[key] = found
        return found

    def _work_out(self, bill: Bill, model: str | None) -> Quote:
        platform, day, modifiers = bill.platform, to_datetime(bill.timestamp_us).date(), _modifiers(bill)
        names = candidates(model) if model else []
        asked = candidates(bill.model) if bill.model and model == bill.priced_model else []
        if (own := self._overrides.find(platform, [*names, *asked], day)) is not None:
            return _quote_of_row(f"override:{self._overrides.sha256[:16]}", platform, own, modifiers)
        corrections, listed = self.load()
        source = f"auditmw corrections sha256:{corrections.sha256[:16]}"
        corrected = corrections.find(platform, names, day)
        if corrected is not None and "input" in corrected[1].prices:
            return _quote_of_row(source, platform, corrected, modifiers)
        place = modifiers.pop("inference_geo", None)
        listing = listed.find(platform, model, to_datetime(bill.timestamp_us), modifiers) if model else None
        if listing is None:
            return Quote(source=listed.name)
        if corrected is None:
            return _quote_of_listing(listed.source(listing), platform, listing, {}, place)
        return _quote_of_listing(f"{listed.source(listing)} + {source}", platform, listing, corrected[1].prices, place)


def _settled(bill: Bill) -> Cost | None:
    if bill.not_billed:
        return NOT_BILLED
    return None if bill.has_usage else NO_USAGE


def _key(bill: Bill, model: str | None) -> tuple[Any, ...]:
    return (
        bill.provider,
        bill.host,
        bill.model,
        model or bill.served,
        model is None,
        bill.timestamp_us // DAY_US,
        bill.service_tier,
        bill.speed,
        bill.place,
    )


def _modifiers(bill: Bill) -> dict[str, str]:
    """What changes the list price of this request, by name, as the provider reported it."""
    reported = (
        ("service_tier", bill.service_tier, ORDINARY_TIERS),
        ("speed", bill.speed, ORDINARY_SPEEDS),
        ("inference_geo", bill.place, ORDINARY_PLACES),
    )
    return {name: value for name, value, ordinary in reported if value is not None and value not in ordinary}


def _quote_of_row(source: str, platform: str | None, found: tuple[str, Row], modifiers: Mapping[str, str]) -> Quote:
    key, row = found
    named = {name: f"{name}={value}" for name, value in modifiers.items()}
    multipliers = {name: row.modifiers[text] for name, text in named.items() if text in row.modifiers}
    return quote(
        source=source,
        provider=platform,
        model=key,
        tiers=[(-1, row.prices), *((above, row.prices | prices) for above, prices in row.above)],
        multipliers=multipliers,
        applied=[named[name] for name in multipliers],
        not_applied=[text for name, text in named.items() if name not in multipliers],
    )


def _quote_of_listing(
    source: str, platform: str | None, listing: Listing, corrected: dict[str, Decimal], place: str | None
) -> Quote:
    factor = PLACE_MULTIPLIERS.get(place) if place is not None and platform == "anthropic" else None
    named = [] if place is None else [f"inference_geo={place}"]
    return quote(
        source=source,
        provider=listing.provider,
        model=listing.model,
        tiers=[(above, prices | corrected) for above, prices in listing.tiers],
        multipliers={} if factor is None else {"inference_geo": factor},
        applied=listing.applied if factor is None else [*listing.applied, *named],
        not_applied=[*listing.not_applied, *named] if factor is None else listing.not_applied,
        steady=listing.steady,
    )


def _unit_prices(bill: Bill, parts: list[Part], tiers: list[Tier]) -> tuple[dict[str, Any], bool]:
    """What an entry keeps, and whether it holds the price of everything that was used."""
    one = dict(tiers[0].unit_prices) if len(tiers) == 1 and parts[0].model is None else {}
    found = one or {"parts": [tier.unit_prices for tier in tiers]}
    missing = bills.unpriced_kinds(bill.raw)
    fees = {}
    for tool in bills.tool_counts(bill.raw):
        if tiers[0].web_search is None:
            missing.append(tool)
        else:
            fees[tool] = tiers[0].web_search
    if fees:
        found["fees"] = fees
    assumed = [] if bills.split_is_told(bill.raw) else ["cache_write_5m"]
    if any(part.counts.cache_write_1h and not tier.lists_1h for part, tier in zip(parts, tiers, strict=True)):
        missing.append("cache_write_1h")
    if assumed:
        found["assumed"] = assumed
    if missing:
        found["not_applied"] = [*found.get("not_applied", ()), *missing]
    return found, not missing


def _shipped_corrections() -> PriceTable:
    text = resources.files("auditmw.prices").joinpath("corrections.json").read_bytes()
    return PriceTable(msgspec.json.decode(text), partial=True)
