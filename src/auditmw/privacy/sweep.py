"""Retention carried out: what has expired goes, declared first, in bounded steps, by one process at a time.

Whole entries go from the beginning of the log only, up to the first that a hold covers; the rest of the tree is proven
from the frontier at the cut. Field classes that expire earlier are erased inside the entries that stay.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

import msgspec

from auditmw.entry import FIELD_CLASSES, to_datetime, to_rfc3339, to_us
from auditmw.errors import ClockJumped, ConfigurationError
from auditmw.log.declared import cut_of
from auditmw.log.examine import Control
from auditmw.log.findings import runs
from auditmw.log.leaf import CLASSES, STORED_FIELDS, erase, present
from auditmw.log.merkle import Frontier, split_hashes
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.holds import PROGRESS, Hold, first_held, holds_of, is_held
from auditmw.privacy.policy import SETTING, Policy, policy_of
from auditmw.privacy.retention import ClassRules, expired_before, row_expired_before
from auditmw.privacy.runs import Run, declared, total, without
from auditmw.stores.privacy import ErasedRow, PrivacyStore, alone

LAST: Final = "retention/last"
DAY_US: Final = 86_400_000_000
BATCH: Final = 2000
_HASHES: Final = 65_536
_MOST_RUNS: Final = 2000
_KIND: Final = STORED_FIELDS.index("kind")
_STORED_AT: Final = STORED_FIELDS.index("stored_at_us")
_ERASABLE: Final = (*FIELD_CLASSES, "content")
_METADATA: Final = next(c.bit for c in CLASSES if c.name == "metadata")


class Cut(NamedTuple):
    """What has expired: whole entries up to `rows`, and each class up to its leaf; both exclusive."""

    first: int
    rows: int
    classes: Mapping[str, int]


class Swept(msgspec.Struct, kw_only=True):
    """What one run did. `erased` counts entries by field class; `done` tells whether nothing that is due is left."""

    policy: str
    removed: int = 0
    erased: dict[str, int] = {}
    first_leaf: int = 0
    done: bool = True


class Sweep:
    """One run. `seconds` and `batch` bound it; `confirmed` says that somebody vouches for the clock.

    It is under the trail's policy; another one only for asking what would be `due`.

    `on_step` is told what is about to be done.
    """

    def __init__(
        self,
        log: ControlLog,
        store: PrivacyStore,
        *,
        seconds: float = 60.0,
        batch: int = BATCH,
        confirmed: bool = False,
        policy: Policy | None = None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._log = log
        self._store = store
        self._deadline = time.monotonic() + seconds
        self._batch = batch
        self._confirmed = confirmed
        self._step = on_step
        self._policy = policy or _policy(store)
        self._rules = self._policy.rules()
        self._today = to_datetime(log.clock.now_us()).date()
        self._holds = holds_of(store)
        self._swept = Swept(policy=self._policy.title)

    def due(self) -> dict[str, dict[str, int]]:
        """How many entries would lose a class now, and how many would go whole (`rows`), by month of storing."""
        cut = self._cut()
        counts: dict[str, dict[str, int]] = {}
        at, until = cut.first, max([cut.rows, *cut.classes.values()])
        while rows := self._store.rows([], at, until, self._batch):
            at = rows[-1].leaf_index + 1
            for row in rows:
                month = to_datetime(row.values[_STORED_AT]).strftime("%Y-%m")
                held = is_held(self._holds, row)
                bits = 0 if held else _present(row.values, row.salts, row.erased)
                names = [c.name for c in CLASSES if bits & c.bit and row.leaf_index < cut.classes[c.name]]
                for name in [*names, *(["rows"] if row.leaf_index < cut.rows else [])]:
                    months = counts.setdefault(name, {})
                    months[month] = months.get(month, 0) + 1
        return counts

    def run(self) -> Swept:
        """Remove what is due, as far as the bounds allow; the next run goes on.

        Raises:
            ClockJumped: for more than a day nothing is on record, and nobody vouched for the clock.
            StoreUnavailable: another process erases or retains just now.
        """
        with alone(self._store):
            self._check_clock()
            Erasure(self._log, self._store, wait_seconds=1.0).resume()
            self._log.roll()
            cut = self._cut()
            self._remove_rows(cut)
            self._erase_classes(cut)
            self._forget_users()
            self._store.set_setting(LAST, self._log.clock.now_us())
        return self._swept

    # --- what is due -------------------------------------------------------------------------------------------------

    def _cut(self) -> Cut:
        first = self._store.first_leaf()
        rows = self._leaf(row_expired_before(self._rules, self._today))
        rows = max(first, first_held(self._store, self._holds, first, rows))
        until = {name: self._leaf(expired_before(self._rules[name], self._today)) for name in _ERASABLE}
        self._swept.first_leaf = first
        return Cut(first, rows, until)

    def _leaf(self, before: date) -> int:
        """The first leaf that was stored on this day or later."""
        if before.year <= 1970:
            return 0
        return self._store.leaf_since(to_us(datetime(before.year, before.month, before.day, tzinfo=UTC)))

    def _check_clock(self) -> None:
        """A running trail stores something every hour: a longer silence is a stopped trail, or a clock that was set."""
        now_us = self._log.clock.now_us()
        newest = self._store.head()[2]
        if not newest:  # nothing was ever stored
            return
        since = int(self._store.settings(LAST).get(LAST, newest))
        moments = [since, *self._store.moments(since), now_us]
        before, after = max(itertools.pairwise(moments), key=lambda pair: abs(pair[1] - pair[0]))
        if abs(after - before) > DAY_US and not self._confirmed:
            raise ClockJumped(
                f"between {to_rfc3339(before)} and {to_rfc3339(after)} nothing is on record: nothing ran, or the clock "
                "was set. If it is right, confirm that with --yes"
            )

    # --- whole entries -----------------------------------------------------------------------------------------------

    def _remove_rows(self, cut: Cut) -> None:
        if cut.rows <= cut.first:
            return
        known = self._declared_cut()
        if cut.rows > known.size:
            self._step("declare cut")
            self._declare_cut(cut, known)
        while not self._out_of_time():
            self._step("delete")
            started = time.monotonic()
            removed = self._store.delete_before(cut.rows, self._batch)
            if not removed:
                break
            self._swept.removed += removed
            self._pause(started)
        self._swept.first_leaf = self._store.first_leaf()
        self._swept.done &= self._swept.first_leaf >= cut.rows

    def _declared_cut(self) -> Frontier:
        """The furthest cut that was declared so far."""
        cuts = (cut_of(Control(one.leaf_index, None, "retain", one.metadata)) for one in self._store.controls("retain"))
        return max((cut for cut in cuts if cut is not None), key=lambda cut: cut.size, default=Frontier())

    def _declare_cut(self, cut: Cut, known: Frontier) -> None:
        frontier = known
        while frontier.size < cut.rows:
            hashes = self._store.leaf_hashes(frontier.size, min(cut.rows, frontier.size + _HASHES))
            frontier = frontier.extend(split_hashes(hashes))
        self._log.declare(
            "retain",
            **self._why(["core", *_ERASABLE]),
            entries=cut.rows - cut.first,
            first_leaf=cut.rows,
            frontier=frontier.to_bytes().hex(),
            root=frontier.root().hex(),
        )

    def _why(self, classes: Sequence[str]) -> dict[str, Any]:
        """The policy and its rules that a declaration cites."""
        rules = [str(rule) for name in classes for part in self._rules[name] for rule in part]
        return {"policy": self._policy.title, "policy_digest": self._policy.digest, "rules": rules}

    # --- classes of entries that stay --------------------------------------------------------------------------------

    def _erase_classes(self, cut: Cut) -> None:
        first = max(cut.rows, self._store.first_leaf())
        progress: dict[str, int] = self._store.settings(PROGRESS).get(PROGRESS, {})
        groups: dict[tuple[int, int], list[str]] = {}
        for name, until in cut.classes.items():
            at = max(first, progress.get(name, 0))
            if at < until:
                groups.setdefault((at, until), []).append(name)
        for (at, until), names in groups.items():
            self._declare_classes(names, at, until)
            reached = self._erase_range(names, at, until)
            progress |= dict.fromkeys(names, reached)
            self._store.set_setting(PROGRESS, progress)
            self._swept.done &= reached >= until

    def _declare_classes(self, names: list[str], first: int, until: int) -> None:
        said = self._store.controls("retain")
        leaves = list(without([(first, until - 1)], self._held_runs(first, until)))
        missing = [set(without(leaves, declared(said, name))) for name in names]
        todo = sorted(set().union(*missing))
        for start in range(0, len(todo), _MOST_RUNS):
            some = todo[start : start + _MOST_RUNS]
            self._step("declare classes")
            self._log.declare(
                "retain", **self._why(names), classes=names, leaves=[list(run) for run in some], entries=total(some)
            )

    def _held_runs(self, first: int, until: int) -> list[Run]:
        held: set[int] = set()
        for hold in self._holds:
            for conditions in hold.conditions():
                at = first
                while rows := self._store.rows(conditions, at, until, self._batch):
                    held |= {row.leaf_index for row in rows}
                    at = rows[-1].leaf_index + 1
        return list(runs(sorted(held)))

    def _erase_range(self, names: list[str], at: int, until: int) -> int:
        """Erase these classes in a run of entries; returns the leaf before which all of it is done."""
        classes = sum(c.bit for c in CLASSES if c.name in names)
        held_at: int | None = None
        while not self._out_of_time():
            started = time.monotonic()
            rows = self._store.rows([], at, until, self._batch)
            if not rows:
                at = until
                break
            changed = []
            for row in rows:
                if is_held(self._holds, row):
                    held_at = row.leaf_index if held_at is None else held_at
                elif going := classes & _present(row.values, row.salts, row.erased):
                    changed.append(ErasedRow(row, *erase(row.values, row.salts, row.erased, going)))
                    self._count(going)
            if changed:
                self._step("erase classes")
                self._store_erased(changed)
                self._pause(started)
            at = rows[-1].leaf_index + 1
        return at if held_at is None else held_at

    def _store_erased(self, changed: Sequence[ErasedRow]) -> None:
        """One transaction for each set of classes, so that a class that is not there is not touched."""
        for going in sorted({one.erased & ~one.row.erased for one in changed}):
            self._store.erase([one for one in changed if one.erased & ~one.row.erased == going], going)

    def _count(self, going: int) -> None:
        for c in CLASSES:
            if going & c.bit:
                self._swept.erased[c.name] = self._swept.erased.get(c.name, 0) + 1

    def _forget_users(self) -> None:
        """Names go from the rollups when they have gone from the entries; the sums stay."""
        if not self._swept.removed and "who" not in self._swept.erased:
            return
        before = expired_before(self._rules["who"], self._today)
        for user_id, tenant in self._store.rolled_users(before.isoformat()):
            self._step("rollups")
            self._log.forget_user(user_id, tenant)

    def _out_of_time(self) -> bool:
        return time.monotonic() >= self._deadline

    def _pause(self, started: float) -> None:
        """Leave the store to the writers for as long as it was taken from them."""
        time.sleep(min(0.5, time.monotonic() - started))


def overdue(store: PrivacyStore, now_us: int) -> bool:
    """Whether something has been due for more than a day: a ceiling that is missed is a breach of the policy."""
    policy = policy_of(store.settings(SETTING))
    if policy is None:
        return False
    yesterday = to_datetime(now_us - DAY_US).date()
    return any(True for _ in _due_before(store, policy.rules(), yesterday))


def _due_before(store: PrivacyStore, rules: Mapping[str, ClassRules], day: date) -> Iterator[str]:
    holds: list[Hold] = holds_of(store)
    progress: dict[str, int] = store.settings(PROGRESS).get(PROGRESS, {})
    first = store.first_leaf()

    def leaf(before: date) -> int:
        moment = datetime(max(before.year, 1970), before.month, before.day, tzinfo=UTC)
        return store.leaf_since(to_us(moment))

    if first_held(store, holds, first, leaf(row_expired_before(rules, day))) > first:
        yield "core"
    for name in _ERASABLE:
        at = max(first, progress.get(name, 0))
        until = leaf(expired_before(rules[name], day))
        if at < until and first_held(store, holds, at, until) > at:
            yield name


def _policy(store: PrivacyStore) -> Policy:
    policy = policy_of(store.settings(SETTING))
    if policy is None:
        raise ConfigurationError(
            "this trail has no policy, so nothing expires: choose one with `auditmw retain --policy standard`, or "
            "hipaa, or a TOML file of your own (docs/privacy.md)"
        )
    return policy


def _present(values: Sequence[object], salts: bytes, erased: int) -> int:
    """The classes that retention may take from an entry: what the log says of itself stays as long as its entry."""
    classes = present(values, salts, erased)
    return classes & ~_METADATA if values[_KIND] == "control" else classes
