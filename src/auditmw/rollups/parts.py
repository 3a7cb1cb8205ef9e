"""What a cost is made of, and what the cache changed of it, read from an entry's own unit prices. Exact."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import lcm, prod
from typing import Any, Final, NamedTuple

import msgspec

from auditmw.canonical import canonical_text
from auditmw.rollups.calls import AnyAttempt

_KINDS: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_NANO_PER_TOKEN: Final = 1000


class CostParts(NamedTuple):
    """Nanodollars by component, each rounded half to even; what `cost_nano` holds beyond them is fees and rounding.

    `cache_saved` is what the same tokens would have cost more without any cache; negative where the cache cost more.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cache_saved: int = 0


class _Rates(NamedTuple):
    """Nanodollars a token as integers over one denominator."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    denominator: int


NOTHING: Final = CostParts()


def cost_parts(entry: AnyAttempt) -> CostParts:
    """The components of an attempt's cost; all 0 where its prices are not known, or differ between its parts."""
    if entry.cost_nano is None or entry.unit_prices is None:
        return NOTHING
    prices = entry.unit_prices
    rates = _rates(prices if isinstance(prices, str) else canonical_text(prices))
    if rates is None:
        return NOTHING
    read, short, long = entry.cache_read_tokens, entry.cache_write_5m_tokens, entry.cache_write_1h_tokens
    denominator = rates.denominator
    plain = _share((entry.input_tokens or 0) * rates.input, denominator)
    output = _share((entry.output_tokens or 0) * rates.output, denominator)
    if not (read or short or long):
        return CostParts(plain, 0, 0, output, 0)
    read, short, long = read or 0, short or 0, long or 0
    saved = (
        read * (rates.input - rates.cache_read)
        - short * (rates.cache_write_5m - rates.input)
        - long * (rates.cache_write_1h - rates.input)
    )
    return CostParts(
        plain,
        _share(read * rates.cache_read, denominator),
        _share(short * rates.cache_write_5m + long * rates.cache_write_1h, denominator),
        output,
        _share(saved, denominator),
    )


@lru_cache(maxsize=1024)
def _rates(prices: str) -> _Rates | None:
    try:
        fields: dict[str, Any] = msgspec.json.decode(prices)
        factor = prod((Fraction(value) for value in fields.get("multipliers", {}).values()), start=Fraction(1))
        rates = [Fraction(fields[kind]) * factor * _NANO_PER_TOKEN for kind in _KINDS]
    except (AttributeError, KeyError, TypeError, ValueError, msgspec.DecodeError):
        return None
    denominator = lcm(*(rate.denominator for rate in rates))
    return _Rates._make([*(int(rate * denominator) for rate in rates), denominator])


def _share(amount: int, denominator: int) -> int:
    if denominator == 1:
        return amount
    quotient, rest = divmod(amount, denominator)
    doubled = 2 * rest
    return quotient + (doubled > denominator or (doubled == denominator and quotient & 1))
