"""What newly went wrong, as events on the log."""

from __future__ import annotations

from typing import Final

from auditmw.diagnostics import report
from auditmw.health import Health

_COUNTED: Final = {
    "dropped": ("auditmw.entries_dropped", "error", "there was no room for them: see on_full and max_journal_bytes"),
    "lost": ("auditmw.entries_lost", "error", "they are neither stored nor journalled"),
    "slow_journal_writes": ("auditmw.journal_slow", "warning", "an append took longer than 50 ms: check the disk"),
    "missing_context": ("auditmw.missing_context", "warning", "calls outside trail.context() have no user"),
}


class Alarms:
    """Tells each thing once, and a count again when it has doubled."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}
        self._warned: set[str] = set()

    def tell(self, health: Health) -> None:
        """Log what is new since the last time."""
        for name, (event, level, meaning) in _COUNTED.items():
            count = getattr(health, name)
            if count and count >= 2 * self._told.get(name, 0):
                self._told[name] = count
                report(event, level, count=count, meaning=meaning)
        for warning in health.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                report("auditmw.warning", "warning", meaning=warning)
