"""Calls out of attempts: what reports count.

A call is its last attempt, its cost and tokens summed over all of them, since each was sent and each is billed. The
attempts of one call may lie apart in the stream, so a call that may be tried again is held until the stream has ended;
one that succeeded at once is not, and that keeps half a million calls out of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from auditmw.entry import AuditEntry


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """What is counted of an `llm` entry; the names and units are those of the entry."""

    request_id: str
    timestamp_us: int
    call_id: str | None
    attempt: int
    kind: str
    status: str
    error_type: str | None
    tenant: str | None
    user_id: str | None
    model: str | None
    latency_us: int | None
    ttft_us: int | None
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    thinking_tokens: int | None
    cost_nano: int | None
    cost_status: str | None
    unit_prices: str | dict[str, Any] | None
    sanitization_count: int | None


ATTEMPT_FIELDS: Final = Attempt.__struct_fields__
AnyAttempt = AuditEntry | Attempt


class ReportedCall(msgspec.Struct, frozen=True, gc=False):
    """One call: its last attempt so far, all of its attempts, and what they come to."""

    last: AnyAttempt
    all: tuple[AnyAttempt, ...]
    cost_nano: int | None
    """Nanodollars of all priced attempts; None where none is priced."""
    unpriced: bool
    """Whether an attempt cost something that is not known, so that `cost_nano` is too low or None."""
    tokens: int | None
    """Tokens of all attempts, read, written and cached; None where no attempt told any."""

    @property
    def attempts(self) -> int:
        """How many attempts there were."""
        return len(self.all)


def calls_of(entries: Iterable[AnyAttempt]) -> Iterator[ReportedCall]:
    """The calls of `llm` entries in any order; other entries are passed over."""
    held: dict[str, ReportedCall] = {}
    for entry in entries:
        if entry.kind != "llm":
            continue
        if not may_have_others(entry):
            yield _first(entry)
            continue
        call_id = entry.call_id or entry.request_id
        known = held.get(call_id)
        held[call_id] = _first(entry) if known is None else _joined(known, entry)
    yield from held.values()


def ending(calls: Iterable[ReportedCall], status: str | None) -> Iterable[ReportedCall]:
    """Those that ended so; None: all."""
    return calls if status is None else (call for call in calls if call.last.status == status)


def starting(calls: Iterable[ReportedCall], since_us: int, until_us: int) -> Iterable[ReportedCall]:
    """Those whose last attempt started from the one moment on and before the other."""
    return (call for call in calls if since_us <= call.last.timestamp_us < until_us)


def may_have_others(entry: AnyAttempt) -> bool:
    """Whether the entry's call may have other attempts; one that succeeded at once has none."""
    return entry.status != "success" or entry.attempt != 0


def is_unpriced(entry: AnyAttempt) -> bool:
    """Not priced in whole, though it may have cost something: an entry without any `cost_status` counts too."""
    return entry.cost_status not in {"priced", "not_billed"}


def tokens_of(entry: AnyAttempt) -> int | None:
    """All tokens of an attempt, which are disjoint counts; None where none is known."""
    sent, read, answered = entry.input_tokens, entry.cache_read_tokens, entry.output_tokens
    short, long = entry.cache_write_5m_tokens, entry.cache_write_1h_tokens
    if sent is None and read is None and answered is None and short is None and long is None:
        return None
    return (sent or 0) + (read or 0) + (answered or 0) + (short or 0) + (long or 0)


def _first(entry: AnyAttempt) -> ReportedCall:
    return ReportedCall(entry, (entry,), entry.cost_nano, is_unpriced(entry), tokens_of(entry))


def _joined(call: ReportedCall, entry: AnyAttempt) -> ReportedCall:
    return ReportedCall(
        last=entry if _order(entry) > _order(call.last) else call.last,
        all=(*call.all, entry),
        cost_nano=_sum((call.cost_nano, entry.cost_nano)),
        unpriced=call.unpriced or is_unpriced(entry),
        tokens=_sum((call.tokens, tokens_of(entry))),
    )


def _order(entry: AnyAttempt) -> tuple[int, int, str]:
    """By which the last attempt is the last, in whatever order they come."""
    return entry.attempt, entry.timestamp_us, entry.request_id


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
