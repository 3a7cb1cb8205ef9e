"""Price tables that are data: negotiated prices that a user gives, and corrections that ship with auditmw.

A table maps a model, or `provider/model`, to one row or a list of dated rows:

    {"claude-sonnet-5-5": {"input": "1.8", "output": "9", "cache_read": "0.09"},
     "azure/my-deployment": [{"input": "2", "output": "10", "valid_until": "2027-01-01"}, ...]}

Prices are US dollars for a million tokens (`web_search`: for one search), as text, int or Decimal, never float. A row
may hold `above` (`{"200000": {...}}`: prices of the whole request when the prompt has more tokens), `modifiers`
(`{"service_tier=batch": "0.5"}`: multipliers), and `valid_from` and `valid_until` (dates in UTC, the latter excluded).
A price of cached tokens that is not given is that of other input tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from auditmw.canonical import canonical_json
from auditmw.errors import ConfigurationError

TOKEN_PRICES: Final = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
PRICES: Final = (*TOKEN_PRICES, "web_search")
_ROW_KEYS: Final = frozenset({*PRICES, "above", "modifiers", "valid_from", "valid_until"})


class Row(msgspec.Struct, frozen=True):
    """One row: prices that hold for a model in a period."""

    prices: dict[str, Decimal]
    above: tuple[tuple[int, dict[str, Decimal]], ...] = ()
    modifiers: dict[str, Decimal] = {}
    valid_from: date = date.min
    valid_until: date = date.max

    def holds(self, day: date) -> bool:
        """Whether the row holds on a day."""
        return self.valid_from <= day < self.valid_until


class PriceTable:
    """A validated table.

    Args:
        rows: the mapping described above.
        partial: whether rows may leave out `input` and `output` (they then change another list's prices).

    Raises:
        ConfigurationError: what is wrong, and where.
    """

    def __init__(self, rows: Mapping[str, Any], *, partial: bool = False) -> None:
        if not isinstance(rows, Mapping):
            raise ConfigurationError("prices= takes a mapping of models to unit prices, see auditmw.prices.table")
        self._rows = {_key(key): tuple(_rows(key, value, partial=partial)) for key, value in rows.items()}
        self.sha256: Final = hashlib.sha256(canonical_json(msgspec.to_builtins(self._rows))).hexdigest()

    def find(self, platform: str | None, models: Sequence[str], day: date) -> tuple[str, Row] | None:
        """The row that holds for the first of these names of a model on a day, and its key."""
        for key in _keys(platform, models):
            for row in self._rows.get(key, ()):
                if row.holds(day):
                    return key, row
        return None


def _keys(platform: str | None, models: Sequence[str]) -> Iterator[str]:
    for model in models:
        yield f"{platform}/{model}".lower()
        yield model.lower()


def _key(key: Any) -> str:
    if not isinstance(key, str) or not key:
        raise ConfigurationError(f"prices: {key!r} is no model; use 'model' or 'provider/model'")
    return key.lower()


def _rows(key: str, value: Any, *, partial: bool) -> Iterator[Row]:
    for row in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
        fields = _mapping(key, row, _ROW_KEYS)
        prices = _prices(key, fields)
        if not partial and (missing := {"input", "output"} - prices.keys()):
            raise ConfigurationError(
                f"prices[{key!r}] needs {' and '.join(sorted(missing))}, in dollars a million tokens"
            )
        above = _mapping(key, fields.get("above", {}))
        tiers = [(_threshold(key, tokens), _prices(key, _mapping(key, above[tokens], PRICES))) for tokens in above]
        modifiers = _mapping(key, fields.get("modifiers", {}))
        found = Row(
            prices=prices,
            above=tuple(sorted(tiers, key=lambda tier: tier[0])),
            modifiers={name: _price(key, name, factor) for name, factor in modifiers.items()},
            valid_from=_day(key, fields.get("valid_from"), date.min),
            valid_until=_day(key, fields.get("valid_until"), date.max),
        )
        if found.valid_from >= found.valid_until:
            raise ConfigurationError(f"prices[{key!r}]: valid_from must be before valid_until, which is excluded")
        yield found


def _prices(key: str, fields: Mapping[Any, Any]) -> dict[str, Decimal]:
    return {name: _price(key, name, fields[name]) for name in PRICES if name in fields}


def _mapping(key: str, value: Any, known: Iterable[str] | None = None) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"prices[{key!r}]: {value!r} must be a mapping")
    if known is not None and (unknown := sorted(set(value) - set(known), key=repr)):
        raise ConfigurationError(f"prices[{key!r}] has unknown keys {unknown}; known are {sorted(known)}")
    return value


def _price(key: str, name: str, value: Any) -> Decimal:
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise ConfigurationError(f"prices[{key!r}][{name!r}] is {value!r}: give a decimal as text, such as '2.50'")
    try:
        price = Decimal(value)
    except InvalidOperation as error:
        raise ConfigurationError(f"prices[{key!r}][{name!r}] is {value!r}, which is no decimal number") from error
    if not price.is_finite() or price < 0:
        raise ConfigurationError(f"prices[{key!r}][{name!r}] is {value!r}: a price is finite and not negative")
    return price


def _threshold(key: str, tokens: Any) -> int:
    try:
        return int(tokens)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"prices[{key!r}]['above'] has {tokens!r}: it takes numbers of tokens") from error


def _day(key: str, value: Any, default: date) -> date:
    if value is None:
        return default
    try:
        return value if type(value) is date else date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"prices[{key!r}]: {value!r} is no date such as '2026-10-07'") from error
