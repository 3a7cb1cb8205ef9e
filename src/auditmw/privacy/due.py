"""What of a trail has expired: how far whole entries go, how far each class, and whether that is overdue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from auditmw.entry import FIELD_CLASSES, to_datetime, to_us
from auditmw.log.leaf import CLASSES, STORED_FIELDS, present
from auditmw.privacy.holds import PROGRESS, Hold, first_held, holds_of, is_held
from auditmw.privacy.policy import SETTING, policy_of
from auditmw.privacy.retention import ClassRules, expired_before, row_expired_before
from auditmw.stores.privacy import KeptRow, PrivacyStore

DAY_US: Final = 86_400_000_000
ERASABLE: Final = (*FIELD_CLASSES, "content")
_KIND: Final = STORED_FIELDS.index("kind")
_STORED_AT: Final = STORED_FIELDS.index("stored_at_us")
_METADATA: Final = next(c.bit for c in CLASSES if c.name == "metadata")


class Cut(NamedTuple):
    """What has expired: whole entries from `first` up to `rows`, and each class up to its leaf; both exclusive."""

    first: int
    rows: int
    classes: Mapping[str, int]

    def left(self, progress: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """The leaves, as [from, until), in which a class is still to be looked for, beyond those that go whole."""
        found = {name: (max(self.rows, progress.get(name, 0)), until) for name, until in self.classes.items()}
        return {name: (at, until) for name, (at, until) in found.items() if at < until}


def find_cut(store: PrivacyStore, rules: Mapping[str, ClassRules], holds: Sequence[Hold], today: date) -> Cut:
    """What has expired on a day. Whole entries go up to the first that a hold covers."""
    first = store.first_leaf()
    rows = _leaf(store, row_expired_before(rules, today))
    rows = max(first, first_held(store, holds, first, rows))
    return Cut(first, rows, {name: _leaf(store, expired_before(rules[name], today)) for name in ERASABLE})


def count_due(store: PrivacyStore, cut: Cut, holds: Sequence[Hold], page: int) -> dict[str, dict[str, int]]:
    """How many entries would lose a class, and how many would go whole (`rows`), by month of storing."""
    counts: dict[str, dict[str, int]] = {}
    at, until = cut.first, max([cut.rows, *cut.classes.values()])
    while rows := store.rows([], at, until, page):
        at = rows[-1].leaf_index + 1
        for row in rows:
            month = to_datetime(row.values[_STORED_AT]).strftime("%Y-%m")
            bits = 0 if is_held(holds, row) else removable(row)
            names = [c.name for c in CLASSES if bits & c.bit and row.leaf_index < cut.classes[c.name]]
            for name in [*names, *(["rows"] if row.leaf_index < cut.rows else [])]:
                months = counts.setdefault(name, {})
                months[month] = months.get(month, 0) + 1
    return counts


def overdue(store: PrivacyStore, now_us: int) -> bool:
    """Whether something has been due for more than a day: a ceiling that is missed is a breach of the policy."""
    policy = policy_of(store.settings(SETTING))
    if policy is None:
        return False
    holds = holds_of(store)
    cut = find_cut(store, policy.rules(), holds, to_datetime(now_us - DAY_US).date())
    left = cut.left(store.settings(PROGRESS).get(PROGRESS, {}))
    return cut.rows > cut.first or any(first_held(store, holds, at, until) > at for at, until in left.values())


def removable(row: KeptRow) -> int:
    """The classes that an entry may lose: what the log says of itself stays as long as its entry."""
    classes = present(row.values, row.salts, row.erased)
    return classes & ~_METADATA if row.values[_KIND] == "control" else classes


def _leaf(store: PrivacyStore, before: date) -> int:
    """The first leaf that was stored on this day or later."""
    if before.year <= 1970:
        return 0
    return store.leaf_since(to_us(datetime(before.year, before.month, before.day, tzinfo=UTC)))
