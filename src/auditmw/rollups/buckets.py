"""Fixed buckets for counts of durations and sizes: eight to a doubling, each at most an eighth wider than its start.

Buckets of two sources can be added; quantiles cannot. A quantile read from buckets is right to within its bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

Counts = dict[int, int]
"""How many values fell into each bucket."""

_STEPS: Final = 8
_BITS: Final = 3
_decoder: Final = msgspec.json.Decoder(list[list[int]])


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


def quantile_bucket(counts: Mapping[int, int], share: float) -> int | None:
    """The bucket that holds the value below or at which this share of all values lies; None of no values."""
    total = sum(counts.values())
    if total <= 0:
        return None
    rank = max(1, -int(-share * total // 1))  # rounded up: the nearest-rank definition
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0:
            return bucket
    return max(counts)


def quantile(counts: Mapping[int, int], share: float) -> int | None:
    """A quantile, right to within its bucket; None of no values."""
    bucket = quantile_bucket(counts, share)
    return None if bucket is None else round(middle(bucket))


def add(counts: Counts, other: Mapping[int, int], sign: int = 1) -> None:
    """Add counts to counts, or take them out; buckets that hold nothing are left out."""
    for bucket, count in other.items():
        total = counts.get(bucket, 0) + sign * count
        if total:
            counts[bucket] = total
        else:
            counts.pop(bucket, None)


def to_text(counts: Counts) -> str:
    """Counts as stores keep them: a bucket, its count, the next bucket, ..."""
    return msgspec.json.encode([number for pair in sorted(counts.items()) for number in pair]).decode()


def from_text(text: str) -> Counts:
    """Counts as `to_text` gives them; of several texts, joined by commas, their sum."""
    first, *others = _decoder.decode(f"[{text}]")
    counts = dict(zip(first[::2], first[1::2], strict=True))
    for numbers in others:
        for bucket, count in zip(numbers[::2], numbers[1::2], strict=True):
            counts[bucket] = counts.get(bucket, 0) + count
    return counts
