"""How the trail is doing, in numbers that an operator can act on."""

from __future__ import annotations

import msgspec


class Health(msgspec.Struct, kw_only=True):
    """Counts since this process started, and what waits now. All that was lost is counted here and in the trail.

    Attributes:
        written, retried, set_aside: entries that are stored; batches that were tried again; entries that the store
            refused and that were put apart with their error.
        dropped, lost: entries for which there was no room; entries that are neither stored nor in a journal any more.
        recovered, interrupted: entries and open calls of dead processes that were found in their journals.
        missing_context: calls that nobody put a name to.
        journal_failures, slow_journal_writes: appends that failed; appends that took longer than 50 ms.
        checkpoints: how many were made.
        queue_entries, queue_bytes: entries that are sealed and not stored; the bytes of those that are held in memory.
        journal_bytes: what the journal's files take, out of `max_journal_bytes`.
        in_flight: calls that have not ended.
        oldest_unsent_s: the age in seconds of the oldest entry that is not stored, None where none waits.
        last_store_error, journal_error: why the store or the journal cannot be used now, None while they can.
        journal_dir: where the journal is; None for a trail without one.
        warnings: what should be put right though nothing was lost.
    """

    written: int = 0
    retried: int = 0
    set_aside: int = 0
    dropped: int = 0
    lost: int = 0
    recovered: int = 0
    interrupted: int = 0
    missing_context: int = 0
    journal_failures: int = 0
    slow_journal_writes: int = 0
    checkpoints: int = 0
    queue_entries: int = 0
    queue_bytes: int = 0
    journal_bytes: int = 0
    in_flight: int = 0
    oldest_unsent_s: float | None = None
    last_store_error: str | None = None
    journal_error: str | None = None
    journal_dir: str | None = None
    warnings: list[str] = msgspec.field(default_factory=list)

    def warn(self, warning: str, *, on: bool) -> None:
        """Say so, once, or no longer."""
        self.warnings[:] = [known for known in self.warnings if known != warning] + [warning] * on

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, nothing is stuck and nothing needs a hand."""
        lost = self.dropped or self.lost or self.set_aside or self.journal_failures
        return not (lost or self.last_store_error or self.journal_error or self.warnings)
