"""The arithmetic of cost, exact: unit prices are decimals, amounts integer nanodollars, rounded once, on the total."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.iterations import Counts
from auditmw.prices.bill import bill_of, parts_of, tool_counts

NANO_PER_TOKEN: Final = 1000
"""Nanodollars a token, for one dollar a million tokens."""
NANO_PER_DOLLAR: Final = 1_000_000_000


def recompute(unit_prices: dict[str, Any], entry: AuditEntry) -> int:
    """The cost of an entry in nanodollars from its own stored unit prices, without any price table.

    Raises:
        ConfigurationError: the unit prices are not of the form that an entry holds, or not of this entry.
    """
    bill = bill_of(entry)
    return total_nano(unit_prices, bill.counts, bill.raw)


def total_nano(unit_prices: Mapping[str, Any], counts: Counts, raw: dict[str, Any]) -> int:
    """Nanodollars of counts and tool uses at unit prices, rounded half to even."""
    try:
        priced = unit_prices.get("parts") or [unit_prices]
        total = sum(
            (_tokens(prices, part.counts) for prices, part in zip(priced, parts_of(counts, raw), strict=True)),
            Fraction(0),
        )
        fees = unit_prices.get("fees", {})
        for tool, uses in tool_counts(raw).items():
            total += uses * Fraction(fees.get(tool, "0")) * NANO_PER_DOLLAR
        return round(total)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"these unit prices do not fit the entry ({error}): recompute takes the two as stored together"
        ) from error


def _tokens(prices: Mapping[str, Any], counts: Counts) -> Fraction:
    multiplier = math.prod((Fraction(value) for value in prices.get("multipliers", {}).values()), start=Fraction(1))
    amount = sum(
        (number * Fraction(prices[kind]) for kind, number in zip(Counts._fields, counts, strict=True)), Fraction(0)
    )
    return amount * multiplier * NANO_PER_TOKEN


def integer_rates(prices: Mapping[str, Any]) -> tuple[Counts, int]:
    """The same prices as integers over one denominator, in nanodollars a token: what is fast on the request path."""
    singles = [Counts(*(int(kind == other) for other in Counts._fields)) for kind in Counts._fields]
    rates = [_tokens(prices, single) for single in singles]
    denominator = math.lcm(*(rate.denominator for rate in rates))
    return Counts(*(int(rate * denominator) for rate in rates)), denominator


def divide_half_even(amount: int, denominator: int) -> int:
    """An exact quotient rounded half to even."""
    quotient, rest = divmod(amount, denominator)
    doubled = 2 * rest
    return quotient + (doubled > denominator or (doubled == denominator and quotient & 1))


def plain_text(price: Decimal) -> str:
    """A decimal without exponent and trailing zeros."""
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
