"""Room for the entry of every attempt in flight, reserved before it is sent, so that sealing never blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final, Literal

import anyio

from auditmw.backlog import Backlog
from auditmw.call import Call
from auditmw.health import Health
from auditmw.journalling import Journalling

OnFull = Literal["block", "drop"]

UNJOURNALLED_ENTRIES: Final = 100_000
"""Entries held in memory where there is no journal, or while it cannot be written: then `on_full` decides."""
RESERVED_BYTES: Final = 4096
"""Room in the journal that is set aside for the entry of an attempt in flight."""
POLL_SECONDS: Final = 0.01


class Admission:
    """Counts the attempts in flight; `start` opens the trail at the first, and says that it is closed after the last.

    Attributes:
        is_open: whether the trail was started and not closed.
        block_timeout: seconds to wait for room, with `on_full="block"`.
    """

    def __init__(
        self,
        backlog: Backlog,
        journalling: Journalling,
        health: Health,
        lock: Lock,
        *,
        on_full: OnFull,
        block_timeout: float,
        start: Callable[[], None],
    ) -> None:
        self.is_open = False
        self.block_timeout = block_timeout
        self._backlog = backlog
        self._journalling = journalling
        self._health = health
        self._lock = lock
        self._on_full = on_full
        self._start = start

    def wait_for_room(self, call: Call) -> None:
        """Wait for room as `on_full` says, and reserve it (see `auditmw.recorder.Intake`)."""
        deadline = time.monotonic() + self.block_timeout
        while self._on_full == "block" and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            if self.reserve():
                return
        call.admitted = False

    async def wait_for_room_async(self, call: Call) -> None:
        """The same without blocking the loop."""
        deadline = time.monotonic() + self.block_timeout
        while self._on_full == "block" and time.monotonic() < deadline:
            await anyio.sleep(POLL_SECONDS)
            if self.reserve():
                return
        call.admitted = False

    def reserve(self) -> bool:
        """Reserve room for one entry, if there is any now."""
        if not self.is_open:
            self._start()
        journal = self._journalling.journal
        with self._lock:
            in_flight = self._health.in_flight + 1
            fits = len(self._backlog.held) + in_flight <= UNJOURNALLED_ENTRIES and (
                journal is None or journal.room() >= in_flight * RESERVED_BYTES
            )
            if fits:
                self._health.in_flight = in_flight
        return fits
