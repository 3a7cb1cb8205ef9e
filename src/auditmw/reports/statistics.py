"""The pieces of statistics that reports use. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

Z_95: Final = 1.959964
"""How many standard deviations hold 95 percent of a normal distribution."""
MAD_TO_SIGMA: Final = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""


class Interval(NamedTuple):
    """From where to where a share lies, with 95 percent confidence."""

    low: float
    high: float


def wilson(hits: int, total: int) -> Interval | None:
    """The Wilson score interval of `hits` out of `total`, which holds for few and for rates near 0; None of nothing."""
    if total == 0:
        return None
    rate, square = hits / total, Z_95**2
    middle = (rate + square / (2 * total)) / (1 + square / total)
    half = Z_95 / (1 + square / total) * math.sqrt(rate * (1 - rate) / total + square / (4 * total**2))
    return Interval(max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < total else 1.0)


class Spread(NamedTuple):
    """A middle, and how far values usually lie from it."""

    middle: float
    width: float


def mean_spread(values: Sequence[float]) -> Spread:
    """The mean and the sample standard deviation, which is 0 of a single value."""
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return Spread(mean, math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0)


def median_spread(values: Sequence[float]) -> Spread:
    """The median and the median absolute deviation scaled to a standard deviation; a few wild values move neither."""
    middle = median(values)
    return Spread(middle, MAD_TO_SIGMA * median(abs(value - middle) for value in values))


def weighted_spread(values: Sequence[tuple[float, int]]) -> Spread:
    """The same of values that each occur so many times, in any order; a median between two values is the lower one."""
    middle = _weighted_median(values)
    return Spread(middle, MAD_TO_SIGMA * _weighted_median([(abs(value - middle), count) for value, count in values]))


def _weighted_median(values: Sequence[tuple[float, int]]) -> float:
    left = (sum(count for _, count in values) + 1) // 2
    for value, count in sorted(values):
        left -= count
        if left <= 0:
            return value
    return math.nan
