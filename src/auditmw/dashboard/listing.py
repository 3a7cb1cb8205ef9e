"""The table of entries: its filters, its pages, and the links that lead from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from auditmw.dashboard.selection import day, number
from auditmw.entry import AuditEntry
from auditmw.trail import AuditTrail

PAGE: Final = 50
TEXTS: Final = ("user_id", "model", "status", "action", "kind", "tenant", "session_id", "subject", "call_id")
"""What an entry may be found by, as it is."""


class Listing(NamedTuple):
    """One page of entries, the newest first, and the query strings of the pages beside it."""

    entries: list[AuditEntry]
    filters: dict[str, str]
    older: str | None
    newer: str | None


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
    upwards = bool(query.get("after"))
    for bound in ("after", "before"):
        if query.get(bound):
            wanted[bound] = number(query[bound], bound)
    found = list(trail.pages(**wanted, newest_first=not upwards, limit=PAGE + 1).blocking())
    more, found = len(found) > PAGE, found[:PAGE]
    if upwards:
        found.reverse()
    older = more or upwards
    newer = more if upwards else bool(query.get("before"))
    return Listing(
        found,
        filters,
        _link(filters, before=found[-1]) if found and older else None,
        _link(filters, after=found[0]) if found and newer else None,
    )


def _link(filters: Mapping[str, str], **bound: AuditEntry) -> str:
    return urlencode({**filters, **{name: entry.leaf_index for name, entry in bound.items()}})
