"""Field classes that have expired go from entries that stay, declared first by their leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence

from auditmw.log.findings import without
from auditmw.log.leaf import CLASSES, erase
from auditmw.privacy.due import Cut, removable
from auditmw.privacy.holds import PROGRESS, held_runs, is_held
from auditmw.privacy.job import Job
from auditmw.privacy.runs import declared, portions, total
from auditmw.stores.privacy import ErasedRow


def expire_classes(job: Job, cut: Cut) -> None:
    """Erase the classes that have expired, as far as the time allows; how far each came is kept."""
    progress: dict[str, int] = job.store.settings(PROGRESS).get(PROGRESS, {})
    groups: dict[tuple[int, int], list[str]] = {}
    for name, leaves in cut.left(progress).items():
        groups.setdefault(leaves, []).append(name)
    for (at, until), names in groups.items():
        _declare(job, names, at, until)
        reached = _erase_range(job, names, at, until)
        progress |= dict.fromkeys(names, reached)
        job.store.set_setting(PROGRESS, progress)
        job.swept.done &= reached >= until


def _declare(job: Job, names: list[str], first: int, until: int) -> None:
    said = job.store.controls("retain")
    leaves = list(without([(first, until - 1)], held_runs(job.store, job.holds, first, until)))
    for some in portions(run for name in names for run in without(leaves, declared(said, name))):
        job.on_step("declare classes")
        job.log.declare(
            "retain", **job.why(names), classes=names, leaves=[list(run) for run in some], entries=total(some)
        )


def _erase_range(job: Job, names: list[str], at: int, until: int) -> int:
    """Erase these classes in a run of entries; returns the leaf before which all of it is done."""
    classes = sum(c.bit for c in CLASSES if c.name in names)
    held_at: int | None = None
    while not job.pace.over and job.holds_stand():
        rows = job.store.rows([], at, until, job.pace.size)
        if not rows:
            at = until
            break
        changed = []
        for row in rows:
            if is_held(job.holds, row):
                held_at = row.leaf_index if held_at is None else held_at
            elif going := classes & removable(row):
                changed.append(ErasedRow(row, *erase(row.values, row.salts, row.erased, going)))
                _count(job, going)
        if changed:
            job.on_step("erase classes")
            _store_erased(job, changed)
        at = rows[-1].leaf_index + 1
    return at if held_at is None else held_at


def _store_erased(job: Job, changed: Sequence[ErasedRow]) -> None:
    """One transaction for each set of classes, so that a class that is not there is not touched."""
    for going in sorted({one.erased & ~one.row.erased for one in changed}):
        started = time.monotonic()
        job.store.erase([one for one in changed if one.erased & ~one.row.erased == going], going)
        job.pace.rest(started)


def _count(job: Job, going: int) -> None:
    for c in CLASSES:
        if going & c.bit:
            job.swept.erased[c.name] = job.swept.erased.get(c.name, 0) + 1
