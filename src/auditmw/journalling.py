"""The journal as a trail uses it: opened and looked after, its failures counted and dealt with as was chosen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Final, Literal

from auditmw.call import Call
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry
from auditmw.errors import AuditUnavailable, JournalError
from auditmw.health import Health
from auditmw.journal import Journal, Record, volatile_filesystem
from auditmw.sealing import decode, encode, entry_of_intent, id_bytes

OnFailure = Literal["continue", "refuse"]

REOPEN_SECONDS: Final = 1.0
AT_ONCE: Final = 50
"""Missed entries that one call may write: a fraction of a millisecond."""


class Journalling:
    """The journal of one writer, whenever there is one; without a directory there never is.

    `lock` guards the numbering of entries; `append` is called with it held.
    """

    def __init__(
        self,
        directory: Path | None,
        writer: str,
        health: Health,
        lock: Lock,
        *,
        on_failure: OnFailure,
        disk: bool,
        external: bool,
        max_bytes: int,
    ) -> None:
        self.journal: Journal | None = None
        self._directory = directory
        self._writer = writer
        self._health = health
        self._lock = lock
        self._on_failure = on_failure
        self._disk = disk
        self._external = external
        self._max_bytes = max_bytes
        self._opened_at = 0.0
        self._looked = False
        self._missed: deque[tuple[int, bytes]] = deque()
        """Numbers and payloads that could not be written. They come before any newer one, since numbers rise."""

    def open(self) -> None:
        """Open the journal, with the lock held; raises JournalError."""
        if self._directory is not None:
            self._opened_at = time.monotonic()
            self.journal = Journal(
                self._directory,
                writer_id=bytes.fromhex(self._writer),
                disk=self._disk,
                external=self._external,
                max_bytes=self._max_bytes,
            )

    def close(self) -> None:
        """Give the journal up, with the lock held; what is unsent stays in it for the next start."""
        if self.journal is not None:
            self.journal.close()

    # --- the calling thread's side -----------------------------------------------------------------------------------

    def intent(self, call: Call) -> None:
        """Journal that the attempt is about to be sent.

        Raises:
            AuditUnavailable: it cannot be journalled, and `on_failure="refuse"` was chosen.
        """
        if not call.admitted or self._directory is None:
            return
        try:
            if self.journal is None:
                raise JournalError(f"there is no journal in {self._directory}: make that directory writable")
            call.position = self.journal.append_intent(id_bytes(call.request_id), encode(entry_of_intent(call)))
        except JournalError as error:
            self.failed(error, call)

    def append(self, seq: int, entry: AuditEntry, payload: bytes) -> int | None:
        """Journal a sealed entry; None where it is not in the journal now. It is written later, if that is possible."""
        if self._directory is None:
            return None
        if self._missed:
            self._missed.append((seq, payload))
            if self.journal is not None:
                self.journal.end_intent(id_bytes(entry.request_id))
            return self._write_missed()
        position = self._write(seq, id_bytes(entry.request_id), payload)
        if position is None and not self._external:  # the shipper's writer counts it as dropped
            self._missed.append((seq, payload))
        elif self._health.journal_error is not None and position is not None:
            self._works()
        return position

    def _write(self, seq: int, request_id: bytes, payload: bytes) -> int | None:
        if self.journal is None:
            return None
        try:
            return self.journal.append_sealed(seq, request_id, payload)
        except JournalError as error:
            self.failed(error)
            return None

    def _write_missed(self) -> int | None:
        """Write the oldest of them, with the lock held; the position of the last one if none is left."""
        position = None
        for _ in range(min(AT_ONCE, len(self._missed))):
            seq, payload = self._missed.popleft()
            position = self._write(seq, id_bytes(decode(payload).request_id), payload)
            if position is None:
                self._missed.appendleft((seq, payload))
                return None
        if self._missed:
            return None
        self._works()
        return position

    def failed(self, error: JournalError, call: Call | None = None) -> None:
        """Count it; refuse the call that is about to be sent, if that was chosen.

        Raises:
            AuditUnavailable: it was.
        """
        self._health.journal_failures += 1
        if self._health.journal_error is None:
            report("auditmw.journal_failed", error=str(error), on_failure=self._on_failure)
        self._health.journal_error = str(error)
        if call is not None and call.status is None and self._on_failure == "refuse":
            raise AuditUnavailable from error

    def _works(self) -> None:
        self._health.journal_error = None
        report("auditmw.journal_available", "info")

    # --- the writer's side -------------------------------------------------------------------------------------------

    def tend(self) -> None:
        """See to the journal if it is not where it should be."""
        if self._directory is None:
            return
        if not self._looked:
            self._looked = True
            self._look(self._directory)
        try:
            if self.journal is not None:
                self.journal.check()
            elif time.monotonic() - self._opened_at > REOPEN_SECONDS:
                with self._lock:
                    self.open()
        except JournalError as error:
            self.failed(error)
        self.catch_up()

    def catch_up(self) -> None:
        """Write what could not be written before, if that is possible now."""
        left = len(self._missed) + 1
        while 0 < len(self._missed) < left:
            with self._lock:
                left = len(self._missed)
                self._write_missed()

    @property
    def missed(self) -> int:
        """How many entries are neither journalled nor stored."""
        return len(self._missed)

    def _look(self, directory: Path) -> None:
        if (kind := volatile_filesystem(directory)) is not None:
            self._health.warnings.append(
                f"the journal in {directory} is on {kind}, which a restart of the machine or container loses: set "
                "AUDITMW_JOURNAL_DIR to a volume that stays"
            )

    def read_back(self, after: int) -> Iterator[Record]:
        """The sealed entries with a higher number; raises JournalError."""
        return iter(()) if self.journal is None else self.journal.sealed_after(after)

    def acknowledge(self, upto_seq: int) -> None:
        """The store has everything up to this number."""
        with self._lock:
            while self._missed and self._missed[0][0] <= upto_seq:
                self._missed.popleft()
        if self.journal is not None:
            try:
                self.journal.acknowledge(upto_seq)
            except JournalError as error:
                self.failed(error)

    def refresh(self) -> int:
        """The number up to which a shipper has stored everything."""
        if self.journal is None:
            return 0
        try:
            self.journal.refresh()
        except JournalError as error:
            self.failed(error)
        return self.journal.acknowledged
