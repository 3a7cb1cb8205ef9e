"""What the trail itself says was removed, held against what is gone.

A control entry with the action `erase` or `retain` declares, in its metadata, before anything is removed:

- `classes` and `leaves`: the names of field classes, and the runs of leaf indexes, `[[first, last], ...]`, whose values
  of these classes go; all of them before the entry itself. Where the class is `restricted`, nothing goes: the entries
  are marked with the `erasure` of the declaration, and queries leave them out. When an `erasure` entry has answered,
  they are marked, by this erasure or another one, until no class of them is left.
- `first_leaf` and `frontier`: every entry before `first_leaf` goes, and the tree of those entries is this one
  (`Frontier.to_bytes`, in hex), from which the rest still leads to the signed roots.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, Final, NamedTuple

from auditmw.errors import EvidenceError
from auditmw.log.examine import BARE, Control
from auditmw.log.findings import Finding, Run, about_run, without
from auditmw.log.leaf import CLASSES
from auditmw.log.merkle import Frontier
from auditmw.log.report import Erased

ACTIONS: Final = ("erase", "retain")
RESTRICTED: Final = "restricted"
_Key = tuple[str, str | None]
"""A field class; or `restricted`, and by which erasure."""
_BITS: Final[dict[_Key, int]] = {(field_class.name, None): field_class.bit for field_class in CLASSES}


class Declared(NamedTuple):
    """One run of leaves whose values of one class an entry says are gone."""

    first: int
    last: int
    entry: int
    action: str


class Declarations:
    """Every declaration of a trail."""

    def __init__(self) -> None:
        self._runs: dict[_Key, list[Declared]] = {}
        self._answers: dict[_Key, int] = {}
        self._cuts: list[Frontier] = []

    def add(self, control: Control) -> None:
        """Take a control entry; what it declares badly it does not declare."""
        erasure = control.metadata.get("erasure")
        mark = erasure if isinstance(erasure, str) else None
        if control.action == "erasure":
            self._answers[RESTRICTED, mark] = control.leaf_index
        if control.action not in ACTIONS:
            return
        cut = cut_of(control)
        if cut is not None:
            self._cuts.append(cut)
        classes, leaves = control.metadata.get("classes"), control.metadata.get("leaves")
        if not isinstance(classes, list) or not isinstance(leaves, list):
            return
        for name in filter(lambda name: isinstance(name, str), classes):
            found = self._runs.setdefault((name, mark if name == RESTRICTED else None), [])
            for run in leaves:
                if _is_run(run, control.leaf_index):
                    found.append(Declared(run[0], run[1], control.leaf_index, control.action))

    def allows(self, cut: Frontier) -> bool:
        """Whether an entry says that the entries of this tree are gone."""
        return cut in self._cuts

    def of(self, key: _Key) -> list[Declared]:
        """The runs of a class in the order of their first leaves."""
        return sorted(self._runs.get(key, []))

    def restricted(self) -> list[Run]:
        """The entries that are to be marked: an erasure that was killed before it answered may have marked none."""
        answered = [(self._runs.get(key, []), leaf) for key, leaf in self._answers.items()]
        return [(one.first, one.last) for declared, leaf in answered for one in declared if one.entry < leaf]


class Erasures:
    """Which entries lack the values of which class: runs of leaf indexes, so that a million in a row take no room."""

    def __init__(self) -> None:
        self._runs: dict[_Key, array[int]] = {key: array("q") for key in _BITS}
        self._bare = array("q")

    def add(self, erased: Iterable[tuple[int, int, str | None]]) -> None:
        """Take leaf indexes in order, the bits of their erased classes, and by which erasure they are restricted."""
        for leaf_index, mask, mark in erased:
            for key, bit in _BITS.items():
                if mask & bit:
                    _lengthen(self._runs[key], leaf_index)
            if mark is not None:
                _lengthen(self._runs.setdefault((RESTRICTED, mark), array("q")), leaf_index)
            if mask & BARE:
                _lengthen(self._bare, leaf_index)

    def explained_by(self, declarations: Declarations) -> tuple[list[Erased], list[Finding]]:
        """How much each entry explains, and what none does."""
        counts: dict[tuple[str, int, str], int] = {}
        findings = []
        for (name, mark), runs in self._runs.items():
            declared = declarations.of((name, mark))
            for first, last in _pairs(runs):
                at = first
                while at <= last:
                    found = _covering(declared, at)
                    if found is None:
                        end = _next_first(declared, at, last)
                        lacks = "is hidden" if name == RESTRICTED else f"lacks its values of the class {name}"
                        what = f"{lacks}, and no erase or retain entry says why"
                        findings.append(about_run("erased", at, end, what))
                    else:
                        end = min(found.last, last)
                        key = (name, found.entry, found.action)
                        counts[key] = counts.get(key, 0) + end - at + 1
                    at = end + 1
        return [Erased(name, count, entry, action) for (name, entry, action), count in counts.items()], findings

    def shown_again(self, declarations: Declarations, since: int) -> list[Finding]:
        """The entries from a leaf on that were restricted and are not, though something of them is left."""
        marked = (run for (name, _), runs in self._runs.items() if name == RESTRICTED for run in _pairs(runs))
        before = [(0, since - 1)] if since else []
        shown = without(declarations.restricted(), [*marked, *_pairs(self._bare), *before])
        what = "is restricted, as an erase entry says, and shows: its mark was removed"
        return [about_run("erased", first, last, what) for first, last in shown]


def cut_of(control: Control) -> Frontier | None:
    """The tree of the entries that a `retain` entry says are gone; None where it does not say so."""
    first_leaf, frontier = control.metadata.get("first_leaf"), control.metadata.get("frontier")
    if control.action != "retain" or not isinstance(first_leaf, int) or not isinstance(frontier, str):
        return None
    try:
        cut = Frontier.from_bytes(bytes.fromhex(frontier))
    except (EvidenceError, ValueError):
        return None
    return cut if cut.size == first_leaf <= control.leaf_index else None


def _lengthen(runs: array[int], leaf_index: int) -> None:
    if runs and runs[-1] == leaf_index - 1:
        runs[-1] = leaf_index
    else:
        runs.extend((leaf_index, leaf_index))


def _pairs(runs: array[int]) -> Iterator[Run]:
    return zip(runs[::2], runs[1::2], strict=True)


def _is_run(run: Any, before: int) -> bool:
    return (
        isinstance(run, list)
        and len(run) == 2
        and all(type(end) is int for end in run)
        and 0 <= run[0] <= run[1] < before
    )


def _covering(declared: list[Declared], at: int) -> Declared | None:
    """The first declaration that covers a leaf. They rarely overlap, so that the nearest ones are looked at first."""
    for place in range(bisect_right(declared, at, key=itemgetter(0)) - 1, -1, -1):
        if declared[place].last >= at:
            return declared[place]
    return None


def _next_first(declared: list[Declared], at: int, last: int) -> int:
    """The last leaf from `at` on before any declaration begins."""
    place = bisect_right(declared, at, key=itemgetter(0))
    return min(declared[place].first - 1, last) if place < len(declared) else last
