"""The calling thread's side of the writer: admits attempts, numbers and journals their entries, queues them.

An entry is in the journal before the call returns. What waits for the store is in `auditmw.backlog`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal

import anyio
from msgspec import structs
from uuid_utils import uuid4, uuid7

from auditmw.backlog import Backlog
from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry, Status
from auditmw.errors import AuditUnavailable, JournalError, TrailClosed
from auditmw.futures import wait_for
from auditmw.health import Health
from auditmw.journal import Journal, Record, volatile_filesystem
from auditmw.sealing import control_entry, encode, entry_of, entry_of_intent, id_bytes
from auditmw.stores.protocol import Batch

Durability = Literal["memory", "process", "disk", "store"]
OnFull = Literal["block", "drop"]
OnFailure = Literal["continue", "refuse"]

UNJOURNALLED_ENTRIES: Final = 100_000
"""Entries held in memory where there is no journal, or while it cannot be written: then `on_full` decides."""
RESERVED_BYTES: Final = 4096
"""Room in the journal that is set aside for the entry of an attempt in flight."""
POLL_SECONDS: Final = 0.01
REOPEN_SECONDS: Final = 1.0


class Intake:
    """Takes entries in; `take` gives them to the writer's thread in batches, in order."""

    def __init__(
        self,
        *,
        journal_dir: Path | None,
        durability: Durability,
        on_full: OnFull,
        on_failure: OnFailure,
        block_timeout: float,
        max_journal_bytes: int,
        external: bool,
        clock: Clock,
        start_writer: Callable[[], None],
    ) -> None:
        self.deferred: SimpleQueue[tuple[Call, Status]] = SimpleQueue()
        self._journal_dir = None if durability == "memory" else journal_dir
        self.health = Health(journal_dir=None if self._journal_dir is None else str(journal_dir))
        self._durability = durability
        self._on_full = on_full
        self._on_failure = on_failure
        self._block_timeout = block_timeout
        self._max_journal_bytes = max_journal_bytes
        self._external = external
        self._clock = clock
        self._start_writer = start_writer
        self.prepare: Callable[[], None] = lambda: None
        """What must succeed before anything is taken."""
        self.permit: Callable[[AuditEntry], AuditEntry] = lambda entry: entry
        """What makes an entry such as the trail's policy lets it be stored."""
        self.on_sealed: Callable[[AuditEntry], None] | None = None
        self.wake: Callable[[], None] = lambda: None
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self.writer = uuid4().hex
        self.started = self._closed = False
        self._journal: Journal | None = None
        self._backlog = Backlog(self.writer, self._lock)
        self._drops: list[int] = []
        self._opened_at = 0.0
        self._looked = False

    # --- start and end -----------------------------------------------------------------------------------------------

    def start(self, *, strict: bool = False) -> None:
        """Open the journal and note that this writer begins; at the first call, or when the trail is entered.

        Raises:
            TrailClosed: the trail is closed.
            JournalError: only if `strict`, else `on_failure` decides at every call.
            ConfigurationError: the trail's policy cannot be used.
        """
        self.prepare()
        with self._lock:
            if self._closed:
                raise TrailClosed
            if self.started:
                return
            try:
                self._open_journal()
            except JournalError as error:
                if strict:
                    raise
                self._journal_failed(error)
            self.started = True
        self._start_writer()
        self.control("open")

    def _open_journal(self) -> None:
        if self._journal_dir is not None:
            self._opened_at = time.monotonic()
            self._journal = Journal(
                self._journal_dir,
                writer_id=bytes.fromhex(self.writer),
                disk=self._durability == "disk",
                external=self._external,
                max_bytes=self._max_journal_bytes,
            )

    def close(self) -> None:
        """Take nothing any more; what is unsent stays in the journal for the next start."""
        with self._lock:
            self._closed = True
            if self._journal is not None:
                self._journal.close()

    def after_fork(self) -> None:
        """In a forked child: begin anew, with another writer id and journal; everything queued is the parent's."""
        if self._journal is not None:
            self._journal.after_fork()
        closed = self._closed
        self.health = Health(journal_dir=self.health.journal_dir)
        self.deferred = SimpleQueue()
        self._reset()
        self._closed = closed

    # --- admission ---------------------------------------------------------------------------------------------------

    def admit(self, call: Call) -> None:
        """Reserve room for one entry (see `auditmw.recorder.Intake`)."""
        if not self.started or self._closed:
            self.start()
        if self._reserve():
            return
        deadline = time.monotonic() + self._block_timeout
        while self._on_full == "block" and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            if self._reserve():
                return
        call.admitted = False

    async def admit_async(self, call: Call) -> None:
        """The same without blocking the loop."""
        if not self.started or self._closed:
            self.start()
        if self._reserve():
            return
        deadline = time.monotonic() + self._block_timeout
        while self._on_full == "block" and time.monotonic() < deadline:
            await anyio.sleep(POLL_SECONDS)
            if self._reserve():
                return
        call.admitted = False

    def _reserve(self) -> bool:
        with self._lock:
            in_flight = self.health.in_flight + 1
            fits = len(self._backlog) + in_flight <= UNJOURNALLED_ENTRIES and (
                self._journal is None or self._journal.room() >= in_flight * RESERVED_BYTES
            )
            if fits:
                self.health.in_flight = in_flight
        return fits

    def missing_context(self) -> None:
        """Count a call that nobody put a name to."""
        self.health.missing_context += 1

    # --- the sink of the pipeline ------------------------------------------------------------------------------------

    def intent(self, call: Call) -> None:
        """Journal that the attempt is about to be sent.

        Raises:
            AuditUnavailable: it cannot be journalled, and `on_failure="refuse"` was chosen.
        """
        if not call.admitted or self._journal_dir is None:
            return
        try:
            if self._journal is None:
                raise JournalError(f"there is no journal in {self._journal_dir}: make that directory writable")
            _, payload = encode(entry_of_intent(call))
            call.position = self._journal.append_intent(id_bytes(call.request_id), payload)
        except JournalError as error:
            self._journal_failed(error, call)

    def seal(self, call: Call) -> None:
        """Make the attempt's entry: numbered, journalled, handed over. Never raises."""
        now = self._clock.now_us()
        if not call.admitted:
            self._drop(now)
            return
        try:
            self._put(self.permit(entry_of(call, now)), call)
        except Exception as error:  # a defect here must not reach the caller: it is a loss, counted and alarmed
            report("auditmw.entry_lost", error=repr(error), request_id=call.request_id)
            call.position = None
            self._drop(now)
        finally:
            with self._lock:
                self.health.in_flight -= 1

    def control(self, action: str, /, **metadata: Any) -> None:
        """Add an entry about the trail itself; takes what `control_entry` does."""
        self._put(control_entry(str(uuid7()), self._clock.now_us(), action, **metadata), None)

    def _put(self, entry: AuditEntry, call: Call | None) -> None:
        entry, payload = encode(entry)
        with self._lock:
            seq = self._backlog.last_seq = self._backlog.last_seq + 1  # first: an interrupt must not give it twice
            position = self._append(seq, entry, payload)
            if not self._external:
                self._backlog.add(seq, payload, entry.logged_at_us, journalled=position is not None)
        if call is not None:
            call.position = seq if self._durability == "store" else position
        if self._external and position is None and call is not None:
            self._drop(entry.logged_at_us or 0)  # the shipper sees the journal alone
        if self.on_sealed is not None:
            self.on_sealed(entry)
        self.wake()

    def _append(self, seq: int, entry: AuditEntry, payload: bytes) -> int | None:
        if self._journal is None:
            return None
        try:
            position = self._journal.append_sealed(seq, id_bytes(entry.request_id), payload)
        except JournalError as error:
            self._journal_failed(error)
            return None
        if self.health.journal_error is not None:
            self._journal_works()
        return position

    def _journal_failed(self, error: JournalError, call: Call | None = None) -> None:
        """Count it; refuse the call that is about to be sent, if that was chosen."""
        self.health.journal_failures += 1
        if self.health.journal_error is None:
            report("auditmw.journal_failed", error=str(error), on_failure=self._on_failure)
        self.health.journal_error = str(error)
        if call is not None and call.status is None and self._on_failure == "refuse":
            raise AuditUnavailable from error

    def _journal_works(self) -> None:
        self.health.journal_error = None
        report("auditmw.journal_available", "info")

    def _drop(self, now_us: int) -> None:
        with self._lock:
            self.health.dropped += 1
            self._drops.append(now_us)

    def note_drops(self) -> None:
        """Make one control entry of all drops since the last, so that the loss itself is on record."""
        with self._lock:
            drops, self._drops = self._drops, []
        if drops:
            self.control("drop", count=len(drops), first_us=min(drops), last_us=max(drops))

    def defer(self, call: Call, status: Status) -> None:
        """Queue a dropped call for the writer's thread; safe in a finalizer."""
        self.deferred.put((call, status))

    def dropped_calls(self) -> Iterator[tuple[Call, Status]]:
        """What `defer` has queued so far, each to be finished by whoever gets it."""
        while True:
            try:
                yield self.deferred.get_nowait()
            except Empty:
                return

    # --- durability --------------------------------------------------------------------------------------------------

    def settle(self, call: Call) -> None:
        """Wait until what was appended for the call is as safe as `durability` says.

        Raises:
            AuditUnavailable: the disk failed before the call was sent, and `on_failure="refuse"` was chosen.
        """
        if (future := self._safe_when(call)) is not None:
            try:
                self._settled(call, future.exception(self._block_timeout))
            except TimeoutError as error:
                self._settled(call, error)

    async def settle_async(self, call: Call) -> None:
        """The same without blocking the loop."""
        future = self._safe_when(call)
        if future is None:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._block_timeout):
            await wait_for(future)
        self._settled(call, future.exception() if future.done() else TimeoutError())

    def _safe_when(self, call: Call) -> Future[None] | None:
        if call.position is None or self._durability in {"memory", "process"}:
            return None
        if self._durability == "store":
            # the intent is never stored, only journalled
            return None if call.status is None else self._backlog.stored_when(call.position)
        try:
            return None if self._journal is None else self._journal.synced(call.position)
        except JournalError as error:
            self._journal_failed(error, call)
            return None

    def _settled(self, call: Call, error: BaseException | None) -> None:
        if isinstance(error, JournalError):
            self._journal_failed(error, call)
        elif error is not None:
            report("auditmw.not_durable_yet", durability=self._durability, waited_s=self._block_timeout)

    # --- the writer's side -------------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Put what was dropped on record; see to the journal if it is not where it should be."""
        self.note_drops()
        if not self.started or self._closed or self._journal_dir is None:
            return
        if not self._looked:
            self._looked = True
            self._look(self._journal_dir)
        try:
            if self._journal is not None:
                self._journal.check()
            elif time.monotonic() - self._opened_at > REOPEN_SECONDS:
                with self._lock:
                    self._open_journal()
        except JournalError as error:
            self._journal_failed(error)

    def _look(self, directory: Path) -> None:
        if (kind := volatile_filesystem(directory)) is not None:
            self.health.warnings.append(
                f"the journal in {directory} is on {kind}, which a restart of the machine or container loses: set "
                "AUDITMW_JOURNAL_DIR to a volume that stays"
            )

    def take(self, limit: int, *, whole: bool = False) -> Batch | None:
        """The next consecutive entries, at most `limit`; None when nothing waits, or with `whole` fewer."""
        try:
            return self._backlog.take(limit, self._read_back, self._clock.now_us(), whole=whole)
        except JournalError as error:  # what cannot be read now may be later, or at the next start
            self._journal_failed(error)
            return None

    def _read_back(self, after: int) -> Iterator[Record]:
        return iter(()) if self._journal is None else self._journal.sealed_after(after)

    def acknowledge(self, upto_seq: int) -> None:
        """The store has committed everything up to this number."""
        self._backlog.acknowledge(upto_seq)
        if self._journal is not None:
            try:
                self._journal.acknowledge(upto_seq)
            except JournalError as error:
                self._journal_failed(error)

    def refresh(self) -> None:
        """With an external writer: learn what it has stored."""
        if self._journal is not None:
            try:
                self._journal.refresh()
            except JournalError as error:
                self._journal_failed(error)
            self._backlog.acknowledge(self._journal.acknowledged)

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed

    @property
    def last_seq(self) -> int:
        """The highest number given so far."""
        return self._backlog.last_seq

    @property
    def stored(self) -> int:
        """The store has everything up to this number."""
        return self._backlog.stored

    @property
    def waiting(self) -> int:
        """How many entries are sealed and not stored."""
        return self._backlog.waiting

    @property
    def awaited(self) -> bool:
        """Whether calls wait until their entries are stored."""
        return self._durability == "store"

    def snapshot(self) -> Health:
        """The health counters with what waits now."""
        journal, oldest = self._journal, self._backlog.oldest_us
        return structs.replace(
            self.health,
            lost=self.health.lost + self._backlog.lost,
            slow_journal_writes=0 if journal is None else journal.slow_writes,
            queue_entries=self.waiting,
            queue_bytes=self._backlog.bytes,
            journal_bytes=0 if journal is None else journal.bytes_used,
            oldest_unsent_s=None if oldest is None else max(0, self._clock.now_us() - oldest) / 1e6,
            warnings=list(self.health.warnings),
        )
