"""Whole entries that have expired go from the beginning of the log, declared first with the tree that they made."""

from __future__ import annotations

import time
from typing import Final

from auditmw.log.declared import cut_of
from auditmw.log.examine import Control
from auditmw.log.merkle import Frontier, split_hashes
from auditmw.privacy.due import ERASABLE, Cut
from auditmw.privacy.job import Job
from auditmw.stores.privacy import PrivacyStore

_HASHES: Final = 65_536


def prune(job: Job, cut: Cut) -> None:
    """Remove the entries before the cut, as far as the time allows.

    The rest of the log still verifies from the frontier that the declaration holds. What an earlier run declared and
    did not finish is finished, though no entry of it may be left to see.
    """
    known = _declared_cut(job.store)
    if cut.rows > max(cut.first, known.size):
        job.on_step("declare cut")
        _declare(job, cut, known)
    elif cut.rows > known.size:
        return
    removed: int | None = 0
    while removed is not None and not job.pace.over and job.holds_stand():
        job.on_step("delete")
        started = time.monotonic()
        removed = job.store.delete_before(cut.rows, job.pace.size)
        if removed is not None:
            job.swept.removed += removed
            job.pace.rest(started)
    job.swept.first_leaf = job.store.first_leaf()
    job.swept.done &= removed is None


def _declared_cut(store: PrivacyStore) -> Frontier:
    """The furthest cut that was declared so far."""
    cuts = (cut_of(Control(one.leaf_index, None, "retain", one.metadata)) for one in store.controls("retain"))
    return max((cut for cut in cuts if cut is not None), key=lambda cut: cut.size, default=Frontier())


def _declare(job: Job, cut: Cut, known: Frontier) -> None:
    frontier = known
    while frontier.size < cut.rows:
        hashes = job.store.leaf_hashes(frontier.size, min(cut.rows, frontier.size + _HASHES))
        frontier = frontier.extend(split_hashes(hashes))
    job.log.declare(
        "retain",
        **job.why(["core", *ERASABLE]),
        entries=cut.rows - cut.first,
        first_leaf=cut.rows,
        frontier=frontier.to_bytes().hex(),
        root=frontier.root().hex(),
    )
