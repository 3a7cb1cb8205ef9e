"""Retention carried out: what has expired goes, declared first, in bounded steps, by one process at a time.

Whole entries go from the beginning of the log only, up to the first that a hold covers; the rest of the tree is proven
from the frontier at the cut. Field classes that expire earlier are erased inside the entries that stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from auditmw.entry import to_datetime, to_rfc3339
from auditmw.errors import ClockJumped, ConfigurationError
from auditmw.privacy.control import ControlLog
from auditmw.privacy.due import DAY_US, count_due, find_cut
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.expiring import expire_classes
from auditmw.privacy.holds import PROGRESS, holds_of
from auditmw.privacy.job import MOST_AT_ONCE, Job, Pace, Swept
from auditmw.privacy.policy import SETTING, Policy, policy_of
from auditmw.privacy.pruning import prune
from auditmw.privacy.retention import expired_before, row_expired_before
from auditmw.stores.privacy import PrivacyStore, alone

LAST: Final = "retention/last"
_NAMES: Final = "rollups"
"""Among how far the classes were swept: before which day names have gone from the rollups."""


class Sweep:
    """One run. `seconds` bounds it, `batch` is the most entries at once; `confirmed` says that the clock is right.

    It is under the trail's policy; another one only for asking what would be `due`.

    `on_step` is told what is about to be done.
    """

    def __init__(
        self,
        log: ControlLog,
        store: PrivacyStore,
        *,
        seconds: float = 60.0,
        batch: int = MOST_AT_ONCE,
        confirmed: bool = False,
        policy: Policy | None = None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        policy = policy or _policy(store)
        self._confirmed = confirmed
        self._batch = batch
        self._job = Job(
            log=log,
            store=store,
            policy=policy,
            rules=policy.rules(),
            holds=holds_of(store),
            today=to_datetime(log.clock.now_us()).date(),
            pace=Pace(seconds, batch, one_writer=store.one_writer),
            swept=Swept(policy=policy.title),
            on_step=on_step,
        )

    def due(self) -> dict[str, dict[str, int]]:
        """How many entries would lose a class now, and how many would go whole (`rows`), by month of storing."""
        job = self._job
        return count_due(job.store, find_cut(job.store, job.rules, job.holds, job.today), job.holds, self._batch)

    def run(self) -> Swept:
        """Remove what is due, as far as the bounds allow; the next run goes on.

        Raises:
            ClockJumped: for more than a day nothing is on record, and nobody vouched for the clock.
            StoreUnavailable: another process erases or retains just now.
        """
        job = self._job
        with alone(job.store):
            if not self._confirmed:
                _check_clock(job.store, job.log.clock.now_us())
            Erasure(job.log, job.store, wait_seconds=1.0).resume()
            job.log.roll()
            cut = find_cut(job.store, job.rules, job.holds, job.today)
            job.swept.first_leaf = cut.first
            prune(job, cut)
            expire_classes(job, cut)
            _forget_users(job)
            job.store.set_setting(LAST, job.log.clock.now_us())
        return job.swept


def _check_clock(store: PrivacyStore, now_us: int) -> None:
    """A running trail stores something every hour: a longer silence is a stopped trail, or a clock that was set."""
    newest = store.head()[2]
    if not newest:  # nothing was ever stored
        return
    since = int(store.settings(LAST).get(LAST, newest))
    moments = [since, *store.moments(since), now_us]
    before, after = max(itertools.pairwise(moments), key=lambda pair: abs(pair[1] - pair[0]))
    if abs(after - before) > DAY_US:
        raise ClockJumped(
            f"between {to_rfc3339(before)} and {to_rfc3339(after)} nothing is on record: nothing ran, or the clock "
            "was set. If it is right, confirm that with --yes"
        )


def _forget_users(job: Job) -> None:
    """Names go from the rollups when they have gone from the entries, once a day; the sums stay."""
    before = max(expired_before(job.rules["who"], job.today), row_expired_before(job.rules, job.today))
    progress: dict[str, int] = job.store.settings(PROGRESS).get(PROGRESS, {})
    if progress.get(_NAMES) == before.toordinal():
        return
    week: str | None = ""
    while week is not None and not job.pace.over:
        job.on_step("rollups")
        week = job.log.forget_expired(week, before.isoformat())
    if week is None:
        job.store.set_setting(PROGRESS, progress | {_NAMES: before.toordinal()})
    job.swept.done &= week is None


def _policy(store: PrivacyStore) -> Policy:
    policy = policy_of(store.settings(SETTING))
    if policy is None:
        raise ConfigurationError(
            "this trail has no policy, so nothing expires: choose one with `auditmw retain --policy standard`, or "
            "hipaa, or a TOML file of your own (docs/privacy.md)"
        )
    return policy
