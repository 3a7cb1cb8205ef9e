"""How calls end, how long they take and what they come to, by hour, tenant, model, status and type of error."""

from __future__ import annotations

from typing import Final, Self

from auditmw.rollups import buckets
from auditmw.rollups.calls import ReportedCall
from auditmw.rollups.grouping import GroupRow

HOUR_KEY: Final = ("hour", "tenant", "model", "status", "error_type")
ENDING_KEY: Final = ("day", "tenant", "model", "status", "error_type")
"""By which stores keep how calls ended once more, for questions over many days."""
ENDING_SUMS: Final = ("calls", "attempts", "retried")
"""What they keep of them."""


class HourCell(GroupRow, kw_only=True):
    """One group, as a `DayCell` is one; the times are those of the calls' last attempts."""

    calls: int = 0
    attempts: int = 0
    retried: int = 0
    priced_nano: int = 0
    priced: int = 0
    unpriced: int = 0
    all_tokens: int = 0
    output_tokens: int = 0
    redactions: int = 0
    latency: buckets.Counts = 0
    """Microseconds to the end of the answer."""
    ttft: buckets.Counts = 0
    """Microseconds to the first chunk of streamed answers."""

    def __post_init__(self) -> None:
        if self.hour is not None:
            self.day = self.hour[:10]

    def count(self, call: ReportedCall, sign: int = 1) -> None:
        """Add a call to the group, or take it out."""
        last = call.last
        self.calls += sign
        self.attempts += sign * len(call.all)
        if len(call.all) > 1:
            self.retried += sign
        if call.cost_nano is not None:
            self.priced += sign
            self.priced_nano += sign * call.cost_nano
        if call.unpriced:
            self.unpriced += sign
        if call.tokens is not None:
            self.all_tokens += sign * call.tokens
        for entry in call.all:
            if entry.output_tokens:
                self.output_tokens += sign * entry.output_tokens
            if entry.sanitization_count:
                self.redactions += sign * entry.sanitization_count
        if last.latency_us is not None:
            self.latency += sign * buckets.one(last.latency_us)
        if last.ttft_us is not None:
            self.ttft += sign * buckets.one(last.ttft_us)

    def add(self, other: Self) -> None:
        """Add another row of the same kind to this one."""
        for name in HOUR_SUMS:
            if amount := getattr(other, name):
                setattr(self, name, getattr(self, name) + amount)
        self.latency += other.latency
        self.ttft += other.ttft


HOUR_TIMES: Final = ("latency", "ttft")
HOUR_SUMS: Final = tuple(
    name for name in HourCell.__struct_fields__ if name not in {*GroupRow.__struct_fields__, *HOUR_TIMES}
)
"""The fields that are sums, in the order in which stores keep them."""
