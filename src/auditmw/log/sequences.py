"""Every writer's sequence: that none of its numbers is missing, how it ended, and what it says it lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from auditmw.log.examine import Control
from auditmw.log.findings import Finding
from auditmw.log.report import Complete, Erased, OpenWriter

FIRST_SEQ: Final = 1
_ENDS: Final = {"open": "open", "close": "closed", "recover": "crashed"}
_NOBODY: Final = "unknown"
_LOSSES: Final = ("drop", "lost", "set_aside")


class Sequences:
    """Takes runs of numbers and control entries in leaf order. `pruned`: the first entries of the trail are gone."""

    def __init__(self, *, pruned: bool) -> None:
        self._pruned = pruned
        self._last: dict[str, int] = {}
        self._states: dict[str, str] = {}
        self._losses = dict.fromkeys(_LOSSES, 0)

    def count(self, writer: str | None, first_seq: int, count: int, leaf_index: int) -> Finding | None:
        """Take `count` numbers of a writer, the first of which is at this leaf."""
        name = writer or _NOBODY
        before = self._last.get(name, first_seq - 1 if self._pruned else FIRST_SEQ - 1)
        self._last[name] = first_seq + count - 1
        if first_seq == before + 1:
            return None
        message = f"entry {leaf_index} is number {first_seq} of writer {name}, and the number before it is {before}"
        return Finding("sequence", message, leaf_index, leaf_index)

    def control(self, control: Control) -> None:
        """Take an entry about the trail itself."""
        if control.action in _ENDS:
            self._states[control.writer or _NOBODY] = _ENDS[control.action]
        elif control.action in self._losses:
            count = control.metadata.get("count")
            self._losses[control.action] += count if isinstance(count, int) else 1

    def check(self, writers: Mapping[str, int], size: int) -> Iterator[Finding]:
        """Hold the last numbers that the store keeps of each writer against those of the `size` entries taken."""
        for writer, last in self._last.items():
            kept = writers.get(writer)
            if kept is None:
                yield Finding("writer", f"writer {writer} is not among the writers: it was removed there")
            elif kept > last:
                message = f"the entries of writer {writer} end at number {last}, and it wrote {kept}: some are missing"
                yield Finding("missing", message, size)
            elif kept < last:
                yield Finding("writer", f"writer {writer} has {last} entries, and only {kept} were counted")
        for writer, kept in writers.items():
            if kept and writer not in self._last and not self._pruned:
                yield Finding("missing", f"all {kept} entries of writer {writer} are missing", size)

    def complete(self, erased: list[Erased]) -> Complete:
        """What the writers say of themselves."""
        states = list(self._states.values())
        return Complete(
            writers=len(self._last),
            closed=states.count("closed"),
            crashed=states.count("crashed"),
            open=[OpenWriter(w, last) for w, last in self._last.items() if self._states.get(w, "open") == "open"],
            dropped=self._losses["drop"],
            lost=self._losses["lost"],
            set_aside=self._losses["set_aside"],
            erased=erased,
        )
