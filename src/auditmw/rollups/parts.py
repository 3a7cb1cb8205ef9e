"""What a cost is made of, and what the cache changed of it, read from an entry's own unit prices.

Parts are picodollars: tokens times a whole number of them, so that the parts of a sum are the sum of the parts. Prices
of more than six decimals a million tokens are rounded to that.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from math import prod
from typing import Any, Final, NamedTuple

import msgspec

_KINDS: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_PICO_PER_TOKEN: Final = 1_000_000
"""Picodollars a token, for one dollar a million tokens."""
PICO_PER_NANO: Final = 1000


class CostParts(NamedTuple):
    """Picodollars by component; what the cost holds beyond them is fees and rounding.

    `cache_saved` is what the same tokens would have cost more without any cache; negative where the cache cost more.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cache_saved: int = 0


class _Rates(NamedTuple):
    """Picodollars a token."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int


NOTHING: Final = CostParts()


def cost_parts(prices: str | None, sent: int, read: int, short: int, long: int, answered: int) -> CostParts:
    """The components of tokens at unit prices, which are canonical JSON; all 0 where they are not known.

    Tokens are uncached, read from the cache, written to it for five minutes and for an hour, and answered. Where the
    parts of an answer have prices of their own, the components are not known either.
    """
    rates = None if prices is None else _rates(prices)
    if rates is None:
        return NOTHING
    saved = (
        read * (rates.input - rates.cache_read)
        - short * (rates.cache_write_5m - rates.input)
        - long * (rates.cache_write_1h - rates.input)
    )
    written = short * rates.cache_write_5m + long * rates.cache_write_1h
    return CostParts(sent * rates.input, read * rates.cache_read, written, answered * rates.output, saved)


@lru_cache(maxsize=1024)
def _rates(prices: str) -> _Rates | None:
    try:
        fields: dict[str, Any] = msgspec.json.decode(prices)
        factor = prod((Decimal(value) for value in fields.get("multipliers", {}).values()), start=Decimal(1))
        return _Rates._make([_whole(Decimal(fields[kind]) * factor * _PICO_PER_TOKEN) for kind in _KINDS])
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, msgspec.DecodeError):
        return None


def _whole(rate: Decimal) -> int:
    return int(rate.to_integral_value(ROUND_HALF_EVEN))
