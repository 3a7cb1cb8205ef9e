"""How calls end and how long they take, by hour, tenant, model, status and type of error."""

from __future__ import annotations

from typing import Final, Self

import msgspec

from auditmw.rollups import buckets
from auditmw.rollups.buckets import bucket_of
from auditmw.rollups.calls import ReportedCall
from auditmw.rollups.grouping import GroupRow

HOUR_KEY: Final = ("hour", "tenant", "model", "status", "error_type")


class HourCell(GroupRow, kw_only=True):
    """One group; the times are those of the calls' last attempts, counted into the buckets of `rollups.buckets`."""

    calls: int = 0
    attempts: int = 0
    retried: int = 0
    latency: buckets.Counts = msgspec.field(default_factory=dict)
    """Microseconds to the end of the answer."""
    ttft: buckets.Counts = msgspec.field(default_factory=dict)
    """Microseconds to the first chunk of streamed answers."""

    def __post_init__(self) -> None:
        if self.hour is not None:
            self.day = self.hour[:10]

    def count_simple(self, latency_us: int | None, ttft_us: int | None) -> None:
        """Add a call that succeeded at once."""
        self.calls += 1
        self.attempts += 1
        if latency_us is not None:
            bucket = bucket_of(latency_us)
            self.latency[bucket] = self.latency.get(bucket, 0) + 1
        if ttft_us is not None:
            bucket = bucket_of(ttft_us)
            self.ttft[bucket] = self.ttft.get(bucket, 0) + 1

    def count(self, call: ReportedCall, sign: int = 1) -> None:
        """Add a call to the group, or take it out."""
        last = call.last
        self.calls += sign
        self.attempts += sign * len(call.all)
        if len(call.all) > 1:
            self.retried += sign
        if last.latency_us is not None:
            buckets.add(self.latency, {buckets.bucket_of(last.latency_us): 1}, sign)
        if last.ttft_us is not None:
            buckets.add(self.ttft, {buckets.bucket_of(last.ttft_us): 1}, sign)

    def add(self, other: Self) -> None:
        """Add another row of the same kind to this one."""
        self.calls += other.calls
        self.attempts += other.attempts
        self.retried += other.retried
        buckets.add(self.latency, other.latency)
        buckets.add(self.ttft, other.ttft)
