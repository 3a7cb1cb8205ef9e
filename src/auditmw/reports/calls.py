"""Calls out of attempts: what reports count.

A call is its last attempt, its cost and tokens summed over all of them, since each was sent and each is billed. The
attempts of one call may lie apart in the stream, so a call that may be tried again is held until the stream has ended;
one that succeeded at once is not, and that keeps half a million calls out of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from auditmw.entry import AuditEntry


class ReportedCall(msgspec.Struct):
    """One call: its last attempt so far, and what its attempts come to."""

    last: AuditEntry
    attempts: int
    cost_nano: int | None
    """Nanodollars of all priced attempts; None where none is priced."""
    unpriced: bool
    """Whether an attempt cost something that is not known, so that `cost_nano` is too low or None."""
    tokens: int | None
    """Tokens of all attempts, read, written and cached; None where no attempt told any."""


def calls_of(entries: Iterable[AuditEntry]) -> Iterator[ReportedCall]:
    """The calls of `llm` entries in any order; other entries are passed over."""
    held: dict[str, ReportedCall] = {}
    for entry in entries:
        if entry.kind != "llm":
            continue
        if entry.status == "success" and entry.attempt == 0:
            yield _first(entry)
            continue
        call_id = entry.call_id or entry.request_id
        known = held.get(call_id)
        held[call_id] = _first(entry) if known is None else _joined(known, entry)
    yield from held.values()


def tokens_of(entry: AuditEntry) -> int | None:
    """All tokens of an attempt, which are disjoint counts; None where none is known."""
    counts = (
        entry.input_tokens,
        entry.cache_read_tokens,
        entry.cache_write_5m_tokens,
        entry.cache_write_1h_tokens,
        entry.output_tokens,
    )
    return _sum(counts)


def _first(entry: AuditEntry) -> ReportedCall:
    return ReportedCall(entry, 1, entry.cost_nano, _is_unpriced(entry), tokens_of(entry))


def _joined(call: ReportedCall, entry: AuditEntry) -> ReportedCall:
    return ReportedCall(
        last=entry if entry.attempt >= call.last.attempt else call.last,
        attempts=call.attempts + 1,
        cost_nano=_sum((call.cost_nano, entry.cost_nano)),
        unpriced=call.unpriced or _is_unpriced(entry),
        tokens=_sum((call.tokens, tokens_of(entry))),
    )


def _is_unpriced(entry: AuditEntry) -> bool:
    """Not priced in whole, though it may have cost something: an entry without any `cost_status` counts too."""
    return entry.cost_status not in {"priced", "not_billed"}


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
