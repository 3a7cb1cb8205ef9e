"""The pieces of statistics that reports use. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from statistics import median
from typing import Final, NamedTuple

from auditmw.rollups.buckets import middle

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


def median_spread(values: Sequence[float]) -> Spread:
    """The median and the median absolute deviation scaled to a standard deviation; a few wild values move neither."""
    centre = median(values)
    return Spread(centre, MAD_TO_SIGMA * median(abs(value - centre) for value in values))


def log_spread(counts: Sequence[int]) -> Spread:
    """The same of the logarithms of values that were counted into `rollups.buckets`, from the first bucket on.

    A median between two buckets is the lower one.
    """
    reached = [0, *accumulate(counts)]
    half = (reached[-1] + 1) // 2
    lower = bisect_left(reached, half) - 1
    top = len(counts)
    deviation = next(
        distance
        for first, last, distance in _widening(lower)
        if reached[last + 1 if last < top else top] - reached[first] >= half
    )
    return Spread(_logarithm(lower), MAD_TO_SIGMA * deviation)


@lru_cache(maxsize=1024)
def _widening(bucket: int) -> list[tuple[int, int, float]]:
    """From which to which bucket one must go for one more, and how far the new one is, nearest first.

    It ends at the lowest bucket: that one and those between are at least half of what this bucket is the median of.
    """
    first = last = bucket
    steps, centre = [(first, last, 0.0)], _logarithm(bucket)
    while first > 0:
        below, above = centre - _logarithm(first - 1), _logarithm(last + 1) - centre
        if below < above:
            first -= 1
        else:
            last += 1
        steps.append((first, last, min(below, above)))
    return steps


@lru_cache(maxsize=1024)
def _logarithm(bucket: int) -> float:
    return math.log1p(middle(bucket))
