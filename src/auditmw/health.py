"""How the trail is doing, in numbers that an operator can act on."""

from __future__ import annotations

import msgspec


class Health(msgspec.Struct, kw_only=True):
    """Counts since this process started, and what waits now. All that was lost is counted here and in the trail.

    `oldest_unsent_s` is the age in seconds of the oldest entry that is not stored, None where none waits.
    """

    written: int = 0
    retried: int = 0
    set_aside: int = 0
    dropped: int = 0
    recovered: int = 0
    interrupted: int = 0
    missing_context: int = 0
    journal_failures: int = 0
    slow_journal_writes: int = 0
    checkpoints: int = 0
    queue_entries: int = 0
    queue_bytes: int = 0
    in_flight: int = 0
    oldest_unsent_s: float | None = None
    last_store_error: str | None = None
    journal_dir: str | None = None
    warnings: list[str] = msgspec.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, nothing is stuck and nothing needs a hand."""
        return not (self.dropped or self.set_aside or self.journal_failures or self.last_store_error or self.warnings)
