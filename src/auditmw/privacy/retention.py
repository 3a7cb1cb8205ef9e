"""Whether a field class of an entry stays or goes: pure decisions from its rules, its age, holds and erasure.

The order of authority is hold, floor, erasure, ceiling. An entry's age counts from the day on which it was stored,
which never goes backwards within a trail, so that what has expired is always the beginning of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

from auditmw.errors import ConfigurationError
from auditmw.privacy.periods import Period, started_before

Reason = Literal["hold", "floor", "erasure", "ceiling", "age"]
_LEAP_CYCLE: Final = 8 * 366
_CYCLE_START: Final = date(2096, 1, 1)
"""Eight years around 2100, which is no leap year: every length that a month and a year can have."""


class Rule(NamedTuple):
    """A period that somebody asks for; `source` is the policy or overlay that does."""

    source: str
    field_class: str
    bound: Literal["kept", "gone"]
    period: Period

    def __str__(self) -> str:
        what = "kept at least" if self.bound == "kept" else "gone by"
        return f"{self.source}: {self.field_class} {what} {self.period}"


class ClassRules(NamedTuple):
    """All floors and ceilings of one field class: the longest floor and the shortest ceiling count."""

    floors: tuple[Rule, ...] = ()
    ceilings: tuple[Rule, ...] = ()

    def floor(self, stored: date) -> Rule | None:
        """The floor that ends last."""
        return max(self.floors, key=lambda rule: rule.period.end(stored), default=None)

    def ceiling(self, stored: date) -> Rule | None:
        """The ceiling that ends first."""
        return min(self.ceilings, key=lambda rule: rule.period.end(stored), default=None)

    def floor_end(self, stored: date) -> date:
        """The day from which no floor keeps it."""
        return max((rule.period.end(stored) for rule in self.floors), default=stored)

    def ceiling_end(self, stored: date) -> date:
        """The day from which it must be gone; the end of time without a ceiling."""
        return min((rule.period.end(stored) for rule in self.ceilings), default=date.max)


class Decision(NamedTuple):
    """Whether a class goes, and what decided that; `rule` where it was one."""

    removed: bool
    reason: Reason
    rule: Rule | None = None


def decide(rules: ClassRules, stored: date, today: date, *, held: bool = False, erasure: bool = False) -> Decision:
    """What becomes of one class of an entry that was stored on a day (both days in UTC)."""
    if held:
        return Decision(False, "hold")
    if rules.floor_end(stored) > today:
        return Decision(False, "floor", rules.floor(stored))
    if erasure:
        return Decision(True, "erasure")
    if rules.ceiling_end(stored) <= today:
        return Decision(True, "ceiling", rules.ceiling(stored))
    return Decision(False, "age")


def expired_before(rules: ClassRules, today: date) -> date:
    """The day before which every entry's class has expired, unless a hold keeps it."""
    return started_before(lambda stored: max(rules.floor_end(stored), rules.ceiling_end(stored)), today)


def free_before(rules: ClassRules, today: date) -> date:
    """The day before which no floor keeps any entry's class, so that an erasure may have it."""
    return started_before(rules.floor_end, today)


def row_expired_before(classes: Mapping[str, ClassRules], today: date) -> date:
    """The day before which whole entries have expired: their core, and every floor of what lies in the same row."""
    core = expired_before(classes.get("core", ClassRules()), today)
    return min([core, *(free_before(rules, today) for rules in classes.values())])


def check(classes: Mapping[str, ClassRules]) -> None:
    """Refuse rules that contradict each other.

    Raises:
        ConfigurationError: a floor outlasts a ceiling of its class, or the ceiling of the core in whose row it lies;
            the message names both rules.
    """
    core = classes.get("core", ClassRules())
    for rules in classes.values():
        for floor in rules.floors:
            for ceiling in (*rules.ceilings, *core.ceilings):
                if outlasts(floor.period, ceiling.period):
                    raise ConfigurationError(
                        f"two rules contradict each other: [{floor}] and [{ceiling}]. "
                        "Shorten the first or lengthen the second"
                    )


def outlasts(floor: Period, ceiling: Period) -> bool:
    """Whether, beginning on some day, the first of them ends later than the second."""
    days = (_CYCLE_START + timedelta(days=number) for number in range(_LEAP_CYCLE))
    return any(floor.end(day) > ceiling.end(day) for day in days)
