"""Finds the entry that an id on the command line means: a whole one, one as tables shorten it, or a call's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from auditmw.cli import NotFound
from auditmw.cli.text import short_id
from auditmw.entry import AuditEntry, to_datetime
from auditmw.querying import Wanted
from auditmw.trail import AuditTrail

_LEAST: Final = 13
"""So many characters of an id hold its millisecond, by which it is found without reading the whole trail."""
_AROUND: Final = timedelta(minutes=1)
"""How far the start of a call may lie from the time in its id."""


def find_entry(trail: AuditTrail, identity: str, what_for: str | None) -> AuditEntry | None:
    """The entry that is meant, or the last attempt of the call; with `what_for` among the restricted ones.

    Raises:
        NotFound: several are meant.
    """
    for name in ("request_id", "call_id"):
        for kind in (None, "control"):
            wanted: dict[str, Any] = {name: identity, "kind": kind, "restricted": what_for}
            if found := list(trail.pages(**wanted).blocking()):
                return found[-1]
    found = _shortened(trail, identity, what_for)
    if len(found) > 1:
        raise NotFound(f"{len(found)} entries are meant by {identity}: give the whole id, which --format json shows")
    return found[0] if found else None


def _shortened(trail: AuditTrail, given: str, what_for: str | None) -> list[AuditEntry]:
    """The entries whose id is shortened or begins so; ids hold the time at which they were made."""
    if len(given) < _LEAST:
        return []
    try:
        made = to_datetime(int(given.replace("-", "")[:12], 16) * 1000)
        window = Wanted(since=made - _AROUND, until=made + _AROUND, restricted=what_for)
    except (ValueError, OverflowError):
        return []
    return [
        entry
        for entry in trail.pages(**window).blocking()
        if entry.request_id.startswith(given) or short_id(entry.request_id) == given
    ]
