"""What calls come to by day, tenant, user and model."""

from __future__ import annotations

from typing import Final, Self

from msgspec import structs

from auditmw.canonical import canonical_text
from auditmw.rollups.calls import AnyAttempt, ReportedCall
from auditmw.rollups.grouping import GroupRow
from auditmw.rollups.parts import CostParts, cost_parts

DAY_KEY: Final = ("day", "tenant", "user", "model")
USER_KEY: Final = ("day", "tenant", "user")
"""By which stores keep the same of all models together, since most questions are not about models."""
FAILED: Final = frozenset({"error", "incomplete"})
"""The statuses of calls that were sent and failed."""


class DayCell(GroupRow, kw_only=True):
    """One group. Everything is a sum over calls; the words are those of the entry.

    Costs are nanodollars, what they are made of is picodollars.

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
    input_pico: int = 0
    cache_read_pico: int = 0
    cache_write_pico: int = 0
    output_pico: int = 0
    cache_saved_pico: int = 0
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
            self._count_attempt(entry, sign)

    def _count_attempt(self, entry: AnyAttempt, sign: int) -> None:
        if entry.input_tokens:
            self.input_tokens += sign * entry.input_tokens
        if entry.output_tokens:
            self.output_tokens += sign * entry.output_tokens
        if entry.cache_read_tokens:
            self.cache_read_tokens += sign * entry.cache_read_tokens
        if entry.cache_write_5m_tokens:
            self.cache_write_5m_tokens += sign * entry.cache_write_5m_tokens
        if entry.cache_write_1h_tokens:
            self.cache_write_1h_tokens += sign * entry.cache_write_1h_tokens
        if entry.thinking_tokens:
            self.thinking_tokens += sign * entry.thinking_tokens
        if entry.sanitization_count:
            self.redactions += sign * entry.sanitization_count
        if entry.cost_nano:
            prices = entry.unit_prices
            parts = cost_parts(
                canonical_text(prices) if isinstance(prices, dict) else prices,
                entry.input_tokens or 0,
                entry.cache_read_tokens or 0,
                entry.cache_write_5m_tokens or 0,
                entry.cache_write_1h_tokens or 0,
                entry.output_tokens or 0,
            )
            self.add_parts(parts, sign)

    def add_parts(self, parts: CostParts, sign: int = 1) -> None:
        """Add what a cost is made of, or take it out."""
        self.input_pico += sign * parts.input
        self.cache_read_pico += sign * parts.cache_read
        self.cache_write_pico += sign * parts.cache_write
        self.output_pico += sign * parts.output
        self.cache_saved_pico += sign * parts.cache_saved

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
