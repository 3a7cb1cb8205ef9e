"""The state of the evidence: the newest checkpoint, what lies after it, and the last verification."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from auditmw.clock import Clock
from auditmw.entry import to_datetime
from auditmw.errors import AuditError, EvidenceError
from auditmw.log.examine import read_head
from auditmw.log.keys import Verifier
from auditmw.log.report import Report
from auditmw.stores.evidence import open_evidence
from auditmw.trail import AuditTrail
from auditmw.verification import verify_trail

FRESH_SECONDS: Final = 3600.0
"""A verification that is older is made again when somebody looks."""


class Head(NamedTuple):
    """How far the evidence reaches: of `size` entries `covered` lie under the newest checkpoint.

    `signed_by` are trusted keys that signed it. `unanchored_since` is when the first entry after it was stored.
    """

    origin: str
    size: int
    checkpoint: str | None
    covered: int
    signed_by: Sequence[str]
    unanchored_since: datetime | None

    @property
    def unanchored(self) -> int:
        """How many entries no checkpoint covers."""
        return self.size - self.covered


def head_of(trail: AuditTrail, verifiers: Sequence[Verifier]) -> Head | None:
    """The state of the tree; None where there is no trail yet.

    Raises:
        AuditError: a trail in memory, or one that cannot be read as it was written.
    """
    reader = open_evidence(trail.url)
    try:
        head = reader.head()
        note = reader.newest_checkpoint() if hasattr(reader, "newest_checkpoint") else None
    finally:
        reader.close()
    if head is None:
        return None
    try:
        found = None if note is None else read_head(note, verifiers)
    except EvidenceError:  # a damaged checkpoint covers nothing; the verification says what is wrong with it
        found = None
    covered = 0 if found is None else min(found.checkpoint.size, head.size)
    first = next(trail.pages(after=covered - 1, limit=1).blocking(), None) if covered < head.size else None
    since = None if first is None else first.stored_at
    return Head(head.origin, head.size, note, covered, () if found is None else found.keys, since)


class Verified(NamedTuple):
    """A verification that has ended: its report, or why there is none; when, and how many seconds it took."""

    report: Report | None
    error: str | None
    at: datetime
    seconds: float


class Verifications:
    """Verifies the trail in a thread of its own when somebody looks and the last time is long ago."""

    def __init__(self, url: str, verifiers: Sequence[Verifier], clock: Clock) -> None:
        self._url = url
        self._verifiers = verifiers
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended: float | None = None
        self.last: Verified | None = None
        self.done = 0
        self.total = 0

    @property
    def running(self) -> bool:
        """Whether one runs now."""
        return self._thread is not None and self._thread.is_alive()

    def look(self) -> None:
        """Begin one, unless one runs or has ended lately."""
        with self._lock:
            if self.running or (self._ended is not None and time.monotonic() - self._ended < FRESH_SECONDS):
                return
            self._thread = threading.Thread(target=self._verify, name="auditmw-verification", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Return when none runs."""
        if self._thread is not None:
            self._thread.join()

    def _verify(self) -> None:
        started = time.monotonic()
        report, error = None, None
        try:
            report = verify_trail(self._url, verifiers=self._verifiers, progress=self._progress)
        except AuditError as failed:
            error = str(failed)
        self._ended = time.monotonic()
        self.last = Verified(report, error, to_datetime(self._clock.now_us()), self._ended - started)

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
