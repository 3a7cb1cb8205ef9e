"""Legal holds: what they cover stays, whatever a ceiling or an erasure asks for, until they are released."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import msgspec

from auditmw.entry import to_us
from auditmw.errors import ConfigurationError, StoreUnavailable
from auditmw.log.findings import Run, runs
from auditmw.log.leaf import STORED_FIELDS
from auditmw.privacy.control import ControlLog
from auditmw.stores.filters import Condition
from auditmw.stores.privacy import KeptRow, PrivacyStore, alone

PREFIX: Final = "hold/"
PROGRESS: Final = "retention/progress"
"""Up to where each class was swept; forgotten with a hold, whose entries lie before it."""
_SCOPE: Final = ("user_id", "tenant", "session_id", "model")
_PLACE: Final = {name: STORED_FIELDS.index(name) for name in (*_SCOPE, "timestamp_us", "subject")}
_PAGE: Final = 1000


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One hold. It covers the entries for which everything that is given holds; `user_id` is their user or subject.

    Times are microseconds of the call's start; `until_us` is exclusive.
    """

    id: str
    reason: str
    user_id: str | None = None
    tenant: str | None = None
    session_id: str | None = None
    model: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    def covers(self, values: Sequence[Any]) -> bool:
        """Whether an entry, as stored values, is held."""
        if self.user_id is not None and self.user_id not in (values[_PLACE["user_id"]], values[_PLACE["subject"]]):
            return False
        moment = values[_PLACE["timestamp_us"]]
        if (self.since_us is not None and moment < self.since_us) or (
            self.until_us is not None and moment >= self.until_us
        ):
            return False
        scope = ((name, getattr(self, name)) for name in _SCOPE if name != "user_id")
        return all(wanted is None or values[_PLACE[name]] == wanted for name, wanted in scope)

    def conditions(self) -> list[list[Condition]]:
        """The same as conditions for a store: an entry is covered where all of one of these lists hold."""
        found = [
            Condition(name, "=", value)
            for name in _SCOPE
            if name != "user_id" and (value := getattr(self, name)) is not None
        ]
        if self.since_us is not None:
            found.append(Condition("timestamp_us", ">=", self.since_us))
        if self.until_us is not None:
            found.append(Condition("timestamp_us", "<", self.until_us))
        if self.user_id is None:
            return [found]
        return [[*found, Condition(name, "=", self.user_id)] for name in ("user_id", "subject")]


def holds_of(store: PrivacyStore) -> list[Hold]:
    """The holds in force."""
    return [msgspec.convert(data, Hold) for data in store.settings(PREFIX).values()]


def add_hold(
    log: ControlLog,
    store: PrivacyStore,
    reason: str,
    *,
    user_id: str | None = None,
    tenant: str | None = None,
    session_id: str | None = None,
    model: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Hold:
    """Put a hold in force, and that on record.

    Raises:
        ConfigurationError: nothing says what it covers, or it covers no time.
    """
    hold = Hold(
        id=uuid4().hex[:12],
        reason=reason,
        user_id=user_id,
        tenant=tenant,
        session_id=session_id,
        model=model,
        since_us=None if since is None else to_us(since),
        until_us=None if until is None else to_us(until),
    )
    if hold == Hold(id=hold.id, reason=reason):
        raise ConfigurationError("what is held? Give at least one of --user, --tenant, --session, --model, --since")
    if hold.since_us is not None and hold.until_us is not None and hold.since_us >= hold.until_us:
        raise ConfigurationError(f"a hold from {since} to {until} covers no time: exchange them")
    store.set_setting(PREFIX + hold.id, msgspec.to_builtins(hold))  # first: what is on record is in force
    with suppress(StoreUnavailable), alone(store):
        pass  # a step of retention that began before is over, and none begins without having seen the hold
    scope = sorted(set(msgspec.to_builtins(hold)) - {"id", "reason"})
    log.declare("hold", subject=user_id, tenant=tenant, hold=hold.id, scoped_by=scope)
    return hold


def release_hold(log: ControlLog, store: PrivacyStore, hold_id: str) -> Hold:
    """End a hold, and put that on record; what was deferred because of it can be done now.

    Raises:
        ConfigurationError: there is no such hold.
    """
    found = store.settings(PREFIX + hold_id).get(PREFIX + hold_id)
    if found is None:
        raise ConfigurationError(f"there is no hold {hold_id}: `auditmw hold list` shows those in force")
    hold = msgspec.convert(found, Hold)
    log.declare("hold_release", subject=hold.user_id, tenant=hold.tenant, hold=hold.id)
    store.delete_setting(PREFIX + hold_id)
    store.delete_setting(PROGRESS)
    return hold


def first_held(store: PrivacyStore, holds: Sequence[Hold], first: int, until: int) -> int:
    """The first leaf of these that a hold covers; `until` where none does."""
    for hold in holds:
        for conditions in hold.conditions():
            rows = store.rows(conditions, first, until, 1)
            until = min(until, rows[0].leaf_index) if rows else until
    return until


def is_held(holds: Sequence[Hold], row: KeptRow) -> bool:
    """Whether any hold covers the entry."""
    return any(hold.covers(row.values) for hold in holds)


def held_runs(store: PrivacyStore, holds: Sequence[Hold], first: int, until: int) -> list[Run]:
    """The leaves of these that holds cover; what two of them cover is there twice."""
    found: list[Run] = []
    for hold in holds:
        for conditions in hold.conditions():
            found += runs(_covered(store, conditions, first, until))
    return found


def count_held(store: PrivacyStore, hold: Hold) -> int:
    """How many entries a hold covers, apart from what the log says of itself."""
    first, size, calls = store.first_leaf(), store.head()[1], Condition("kind", "<>", "control")
    scopes = [[*conditions, calls] for conditions in hold.conditions()]
    return len({leaf for conditions in scopes for leaf in _covered(store, conditions, first, size)})


def _covered(store: PrivacyStore, conditions: Sequence[Condition], first: int, until: int) -> Iterator[int]:
    while rows := store.rows(conditions, first, until, _PAGE):
        yield from (row.leaf_index for row in rows)
        first = rows[-1].leaf_index + 1
