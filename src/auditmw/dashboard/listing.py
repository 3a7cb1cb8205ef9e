"""The table of entries: its filters, its pages, and the links that lead from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from auditmw.dashboard.asking import LOOKED_AT, newest
from auditmw.dashboard.selection import day, number
from auditmw.entry import AuditEntry, to_datetime
from auditmw.trail import AuditTrail

PAGE: Final = 50
INDEXED: Final = timedelta(days=7)
"""What lies in so much time is found by when it started, and then all of it is looked at."""
TEXTS: Final = ("user_id", "model", "status", "action", "kind", "tenant", "session_id", "subject", "call_id")
"""What an entry may be found by, as it is."""


class Listing(NamedTuple):
    """One page of entries, the newest first, and the query strings of the pages beside it."""

    entries: list[AuditEntry]
    filters: dict[str, str]
    older: str | None
    newer: str | None
    looked_at: int | None
    """Of so many leaves at most these are the entries that fit; None: of all that there are."""


def list_entries(trail: AuditTrail, query: Mapping[str, str]) -> Listing:
    """The page that a query string asks for.

    Raises:
        ConfigurationError: a filter has a value that there is none of.
    """
    filters = {name: query[name] for name in (*TEXTS, "since", "until") if query.get(name)}
    wanted: dict[str, Any] = {name: filters[name] for name in TEXTS if name in filters}
    until = day(filters.get("until"))
    wanted["since"] = day(filters.get("since"))
    wanted["until"] = None if until is None else until + timedelta(days=1)
    bounds = {name: number(query[name], name) for name in ("after", "before") if query.get(name)}
    stretch = _stretch(trail, wanted, bounds)
    upwards = "after" in bounds
    wanted |= {"after": stretch.first - 1, "before": stretch.end}
    found = list(trail.pages(**wanted, newest_first=not upwards, limit=PAGE + 1).blocking())
    more, found = len(found) > PAGE, found[:PAGE]
    if upwards:
        found.reverse()
        older: int | None = found[-1].leaf_index if found else stretch.first
        newer = found[0].leaf_index if more else stretch.newer
    else:
        older = found[-1].leaf_index if more else stretch.older
        newer = None if "before" not in bounds else found[0].leaf_index if found else bounds["before"] - 1
    looked_at = LOOKED_AT if stretch.older or stretch.newer else None
    return Listing(found, filters, _link(filters, before=older), _link(filters, after=newer), looked_at)


class _Stretch(NamedTuple):
    """The leaves from `first` on and before `end` (None: all later ones), and where those beside them go on."""

    first: int = 0
    end: int | None = None
    older: int | None = None
    newer: int | None = None


def _stretch(trail: AuditTrail, wanted: Mapping[str, Any], bounds: Mapping[str, int]) -> _Stretch:
    """The leaves that a page is filled from: so many at most, unless an index bounds what is looked at."""
    after, before = bounds.get("after"), bounds.get("before")
    since, until = wanted["since"], wanted["until"] or to_datetime(trail.clock.now_us())
    is_bounded = "call_id" in wanted or (since is not None and until - since <= INDEXED)
    if is_bounded or not wanted.keys() & set(TEXTS):
        return _Stretch(0 if after is None else after + 1, before)
    if after is not None:
        last = after + LOOKED_AT
        return _Stretch(after + 1, last + 1, newer=last if last < newest(trail) else None)
    first = max(0, (newest(trail) + 1 if before is None else before) - LOOKED_AT)
    return _Stretch(first, before, older=first or None)


def _link(filters: Mapping[str, str], **bound: int | None) -> str | None:
    return None if None in bound.values() else urlencode({**filters, **bound})
