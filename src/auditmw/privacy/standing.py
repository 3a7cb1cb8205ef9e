"""What goes of a person's entries when they are to be erased now, and what stands in the way of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from auditmw.entry import to_datetime
from auditmw.log.leaf import CLASSES, STORED_FIELDS
from auditmw.privacy.due import removable
from auditmw.privacy.holds import Hold, holds_of, is_held
from auditmw.privacy.policy import SETTING, policy_of
from auditmw.privacy.retention import ClassRules, decide
from auditmw.stores.privacy import KeptRow, PrivacyStore

_STORED_AT: Final = STORED_FIELDS.index("stored_at_us")
_TIMESTAMP: Final = STORED_FIELDS.index("timestamp_us")
_ALL: Final = sum(c.bit for c in CLASSES)


class Standing(msgspec.Struct):
    """How one look through a person's entries went, under the rules and holds of that day.

    Entries that lost something, that are kept at least in part, and of these that are held; the floors that keep; and
    whether one of the kept is restricted by another erasure.
    """

    rules: Mapping[str, ClassRules]
    holds: list[Hold]
    today: date
    erased: int = 0
    kept: int = 0
    held: int = 0
    floors: set[str] = msgspec.field(default_factory=set)
    shared: bool = False

    @classmethod
    def of(cls, store: PrivacyStore, today: date) -> Standing:
        """A look that begins now."""
        policy = policy_of(store.settings(SETTING))
        return cls({} if policy is None else policy.rules(), holds_of(store), today)

    def sort(self, rows: Iterable[KeptRow]) -> tuple[dict[int, list[KeptRow]], list[KeptRow]]:
        """The entries by the classes (bits) that they lose, and those of which something is kept."""
        going: dict[int, list[KeptRow]] = {}
        kept: list[KeptRow] = []
        for row in rows:
            held = is_held(self.holds, row)
            classes = removable(row)
            staying = classes if held else self._under_a_floor(row, classes)
            if held or staying:
                self.held += held
                kept.append(row)
            if lost := classes & ~staying:
                self.erased += 1
                going.setdefault(lost, []).append(row)
        self.kept += len(kept)
        return going, kept

    def keeps(self, values: Sequence[Any]) -> bool:
        """Whether a hold or a floor keeps an entry that was set aside and never stored; counted as those that were.

        It has no salts of its own, so that all of it stays or all of it goes; its age counts from when it was made.
        """
        held = any(hold.covers(values) for hold in self.holds)
        floors = held or self._floors(to_datetime(values[_TIMESTAMP]).date(), _ALL)
        self.held += held
        return bool(floors)

    def reasons(self) -> list[str]:
        """What keeps the rest, in words."""
        return [
            *(f"the floor [{rule}] keeps it" for rule in sorted(self.floors)),
            *([f"a legal hold keeps {self.held} entries"] if self.held else []),
        ]

    def _under_a_floor(self, row: KeptRow, classes: int) -> int:
        return self._floors(to_datetime(row.values[_STORED_AT]).date(), classes)

    def _floors(self, stored: date, classes: int) -> int:
        staying = 0
        for c in CLASSES:
            decision = decide(self.rules.get(c.name, ClassRules()), stored, self.today, erasure=True)
            if classes & c.bit and not decision.removed:
                staying |= c.bit
                self.floors.add(str(decision.rule))
        return staying
