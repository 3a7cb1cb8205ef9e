"""The state of retention: how long each class is kept, what is due and overdue, and the holds in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from auditmw.entry import to_datetime, to_us
from auditmw.privacy.holds import PROGRESS, Hold, holds_of
from auditmw.privacy.policy import SETTING, policy_of
from auditmw.privacy.retention import ClassRules, expired_before, row_expired_before
from auditmw.privacy.sweep import LAST
from auditmw.stores.privacy import PrivacyStore, open_privacy
from auditmw.trail import AuditTrail


class ClassState(NamedTuple):
    """One class: its rules in words, how many entries are to be swept, and how many for more than a day.

    Both are the most that it can be: entries that are held, or do not have the class, are among them.
    """

    name: str
    kept: str
    gone: str
    due: int
    overdue: int


class Retention(NamedTuple):
    """The trail's policy, None where none was chosen; its classes; the holds; when it was last swept."""

    policy: str | None
    classes: Sequence[ClassState]
    holds: Sequence[Hold]
    last_sweep: datetime | None


def retention_of(trail: AuditTrail) -> Retention:
    """Worked out from the policy and where entries begin, so that a long trail takes no longer.

    Raises:
        ConfigurationError: this kind of trail has no retention.
        StoreError: it cannot be read.
    """
    store = open_privacy(trail.url)
    try:
        last = store.settings(LAST).get(LAST)
        policy = policy_of(store.settings(SETTING))
        today = to_datetime(trail.clock.now_us()).date()
        classes = [] if policy is None else _classes(store, policy.rules(), today)
        return Retention(
            None if policy is None else policy.title,
            classes,
            holds_of(store),
            None if last is None else to_datetime(last),
        )
    finally:
        store.close()


def _classes(store: PrivacyStore, rules: Mapping[str, ClassRules], today: date) -> list[ClassState]:
    first = store.first_leaf()
    progress: dict[str, int] = store.settings(PROGRESS).get(PROGRESS, {})

    def due(name: str, on: date) -> int:
        before = row_expired_before(rules, on) if name == "core" else expired_before(rules[name], on)
        if before.year <= 1970:
            return 0
        until = store.leaf_since(to_us(datetime(before.year, before.month, before.day, tzinfo=UTC)))
        return max(0, until - max(first, progress.get(name, 0)))

    yesterday = today - timedelta(days=1)
    return [
        ClassState(
            name,
            ", ".join(str(rule.period) for rule in found.floors),
            ", ".join(str(rule.period) for rule in found.ceilings),
            due(name, today),
            due(name, yesterday),
        )
        for name, found in rules.items()
    ]
