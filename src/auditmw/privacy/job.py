"""One run of retention: what it works on, how much of the store it may take from the writers, and what it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec

from auditmw.privacy.control import ControlLog
from auditmw.privacy.holds import Hold, holds_of
from auditmw.privacy.policy import Policy
from auditmw.privacy.retention import ClassRules
from auditmw.stores.privacy import PrivacyStore

MOST_AT_ONCE: Final = 2000
_FIRST: Final = 100
_LEAST: Final = 20
_HOLD_SECONDS: Final = 0.01
"""So long one step may keep writers out: as long as a commit of their own takes."""
_LONGEST_PAUSE: Final = 0.5
_PAUSES: Final = {True: 1.5, False: 0.5}
"""A writer that finds the store taken looks again after a while, so it must be free most of the time."""


class Swept(msgspec.Struct, kw_only=True):
    """What one run did. `erased` counts entries by field class; `done` tells whether nothing that is due is left."""

    policy: str
    removed: int = 0
    erased: dict[str, int] = {}
    first_leaf: int = 0
    done: bool = True


class Pace:
    """How long a run may take, and how many entries it takes at once, of a store with `one_writer` or of another.

    Where it keeps others out, it learns from the last step how many are done in a moment. After each step it leaves the
    store to the writers for a while that depends on how long it took.
    """

    def __init__(self, seconds: float, most: int, *, one_writer: bool) -> None:
        self._deadline = time.monotonic() + seconds
        self._most = most
        self._one_writer = one_writer
        self.size = min(most, _FIRST) if one_writer else most

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._deadline

    def rest(self, started: float) -> None:
        """Pause after a transaction that has removed up to `size` entries since this `time.monotonic()`."""
        took = time.monotonic() - started
        if self._one_writer:
            factor = min(2.0, max(0.5, _HOLD_SECONDS / max(took, 1e-6)))
            self.size = min(self._most, max(_LEAST, int(self.size * factor)))
        time.sleep(min(_LONGEST_PAUSE, took * _PAUSES[self._one_writer]))


class Job(NamedTuple):
    """What every part of a run needs; `on_step` is told what is about to be done."""

    log: ControlLog
    store: PrivacyStore
    policy: Policy
    rules: Mapping[str, ClassRules]
    holds: Sequence[Hold]
    today: date
    pace: Pace
    swept: Swept
    on_step: Callable[[str], None]

    def holds_stand(self) -> bool:
        """Whether the holds are those of when the run began: else it ends, and the next one works under the new."""
        return holds_of(self.store) == list(self.holds)

    def why(self, classes: Sequence[str]) -> dict[str, Any]:
        """The policy and its rules that a declaration cites."""
        rules = [str(rule) for name in classes for part in self.rules[name] for rule in part]
        return {"policy": self.policy.title, "policy_digest": self.policy.digest, "rules": rules}
