"""What calls come to by day, tenant, user and model."""

from __future__ import annotations

from typing import Final, Self

from msgspec import structs

from auditmw.rollups.calls import ReportedCall
from auditmw.rollups.grouping import GroupRow
from auditmw.rollups.parts import cost_parts

DAY_KEY: Final = ("day", "tenant", "user", "model")
FAILED: Final = frozenset({"error", "incomplete"})
"""The statuses of calls that were sent and failed."""


class DayCell(GroupRow, kw_only=True):
    """One group. Everything is a sum over calls; the words are those of the entry, amounts in nanodollars.

    `priced` calls have a cost, `unpriced` ones cost something more that is not known, `told` ones tell their tokens,
    `timed` ones their latency: where one of them is 0, the sum that goes with it says nothing.
    """

    calls: int = 0
    priced_nano: int = 0
    priced: int = 0
    unpriced: int = 0
    latency_us: int = 0
    timed: int = 0
    all_tokens: int = 0
    told: int = 0
    attempts: int = 0
    retried: int = 0
    errors: int = 0
    blocked: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    input_nano: int = 0
    cache_read_nano: int = 0
    cache_write_nano: int = 0
    output_nano: int = 0
    cache_saved_nano: int = 0
    redactions: int = 0

    def count(self, call: ReportedCall, sign: int = 1) -> None:
        """Add a call to the group, or take it out."""
        last = call.last
        self.calls += sign
        self.attempts += sign * len(call.all)
        if len(call.all) > 1:
            self.retried += sign
        if last.status == "blocked":
            self.blocked += sign
        elif last.status in FAILED:
            self.errors += sign
        if call.cost_nano is not None:
            self.priced += sign
            self.priced_nano += sign * call.cost_nano
        if call.unpriced:
            self.unpriced += sign
        if call.tokens is not None:
            self.told += sign
            self.all_tokens += sign * call.tokens
        if last.latency_us is not None:
            self.timed += sign
            self.latency_us += sign * last.latency_us
        for entry in call.all:
            self.input_tokens += sign * (entry.input_tokens or 0)
            self.output_tokens += sign * (entry.output_tokens or 0)
            self.cache_read_tokens += sign * (entry.cache_read_tokens or 0)
            self.cache_write_5m_tokens += sign * (entry.cache_write_5m_tokens or 0)
            self.cache_write_1h_tokens += sign * (entry.cache_write_1h_tokens or 0)
            self.thinking_tokens += sign * (entry.thinking_tokens or 0)
            self.redactions += sign * (entry.sanitization_count or 0)
            if entry.cost_nano:
                parts = cost_parts(entry)
                self.input_nano += sign * parts.input
                self.cache_read_nano += sign * parts.cache_read
                self.cache_write_nano += sign * parts.cache_write
                self.output_nano += sign * parts.output
                self.cache_saved_nano += sign * parts.cache_saved

    def add(self, other: Self) -> None:
        """Add another row of the same kind to this one."""
        for name in DAY_SUMS:
            if amount := getattr(other, name):
                setattr(self, name, getattr(self, name) + amount)

    def minus(self, other: Self) -> Self:
        """What this row holds beyond another one, as a row to be added."""
        sums = {name: getattr(self, name) - getattr(other, name) for name in DAY_SUMS}
        return structs.replace(self, **sums)

    @property
    def cost_nano(self) -> int | None:
        """Nanodollars of all priced calls; None where none is priced."""
        return self.priced_nano if self.priced else None

    @property
    def tokens(self) -> int | None:
        """All tokens; None where no call told any."""
        return self.all_tokens if self.told else None

    @property
    def mean_latency_us(self) -> int | None:
        """Mean latency of the calls' last attempts that have one, microseconds."""
        return round(self.latency_us / self.timed) if self.timed else None

    @property
    def sent(self) -> int:
        """Calls that were sent: all but the blocked ones."""
        return self.calls - self.blocked


DAY_SUMS: Final = tuple(name for name in DayCell.__struct_fields__ if name not in GroupRow.__struct_fields__)
"""The fields that are sums, in the order in which stores keep them: those that reports read most come first."""
