"""Fixed buckets for counts of durations and sizes: eight to a doubling, each at most an eighth wider than its start.

Buckets of two sources can be added; quantiles cannot. A quantile read from buckets is right to within its bucket.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from typing import Final

Counts = int
"""How many values fell into each bucket: 32 bits a bucket, the lowest one first.

So counts are added and taken out as integers are: thousands of cells in the time that loops take for a few.
"""

_WIDTH: Final = 32
_BYTES: Final = _WIDTH // 8
_FIRST_BYTES: Final = 2
_STEPS: Final = 8
_BITS: Final = 3


def bucket_of(value: int) -> int:
    """The number of the bucket that a value, 0 or more, falls into."""
    if value < _STEPS:
        return max(value, 0)
    shift = value.bit_length() - _BITS - 1
    return (shift << _BITS) + (value >> shift)


def bounds(bucket: int) -> tuple[int, int]:
    """The least and the greatest value of a bucket."""
    if bucket < _STEPS:
        return bucket, bucket
    shift = (bucket >> _BITS) - 1
    low = (bucket - (shift << _BITS)) << shift
    return low, low + (1 << shift) - 1


def middle(bucket: int) -> float:
    """The value that stands for all in a bucket."""
    low, high = bounds(bucket)
    return (low + high) / 2


@lru_cache(maxsize=1024)
def one_in(bucket: int) -> Counts:
    """The counts of a single value in this bucket."""
    return 1 << (_WIDTH * bucket)


def one(value: int) -> Counts:
    """The counts of this value alone."""
    return one_in(bucket_of(value))


def count_each(values: Iterable[int]) -> Counts:
    """The counts of these values."""
    shifts = [(value, value.bit_length() - _BITS - 1) for value in values]
    found = Counter([(shift << _BITS) + (value >> shift) if shift > 0 else max(value, 0) for value, shift in shifts])
    return sum([count * one_in(bucket) for bucket, count in found.items()])


def each(counts: Counts) -> tuple[int, ...]:
    """How many values are in each bucket, from the first one on."""
    width = -(-counts.bit_length() // _WIDTH)
    return struct.unpack(f"<{width}I", counts.to_bytes(width * _BYTES, "little"))


def total(counts: Counts) -> int:
    """How many values were counted."""
    return sum(each(counts))


def quantile_bucket(counts: Counts, share: float) -> int | None:
    """The bucket that holds the value below or at which this share of all values lies; None of no values."""
    reached = list(accumulate(each(counts)))
    if not reached:
        return None
    rank = max(1, -int(-share * reached[-1] // 1))  # rounded up: the nearest-rank definition
    return min(bisect_left(reached, rank), len(reached) - 1)


def quantile(counts: Counts, share: float) -> int | None:
    """A quantile, right to within its bucket; None of no values."""
    bucket = quantile_bucket(counts, share)
    return None if bucket is None else round(middle(bucket))


def to_bytes(counts: Counts) -> bytes:
    """Counts as stores keep them: the first bucket that is not empty, and the counts from there on, little-endian."""
    if not counts:
        return b""
    first = ((counts & -counts).bit_length() - 1) // _WIDTH
    counts >>= first * _WIDTH
    width = -(-counts.bit_length() // _WIDTH)
    return first.to_bytes(_FIRST_BYTES, "little") + counts.to_bytes(width * _BYTES, "little")


def from_bytes(stored: bytes) -> Counts:
    """Counts as `to_bytes` gives them."""
    first = int.from_bytes(stored[:_FIRST_BYTES], "little")
    return int.from_bytes(stored[_FIRST_BYTES:], "little") << (first * _WIDTH)
