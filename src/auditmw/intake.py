"""The calling thread's side of the writer: numbers and journals the entries of attempts, and queues them.

An entry is in the journal before the call returns. Room for it was reserved by `auditmw.admission`; what waits for the
store is in `auditmw.backlog`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from msgspec import structs
from uuid_utils import uuid4, uuid7

from auditmw.admission import Admission, OnFull
from auditmw.backlog import Backlog
from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.durability import Durability, Settling
from auditmw.entry import AuditEntry, Status
from auditmw.errors import JournalError, TrailClosed
from auditmw.health import Health
from auditmw.journalling import Journalling, OnFailure
from auditmw.sealing import control_entry, decode, encode, entry_of
from auditmw.stores.protocol import Batch


class Intake:
    """Takes entries in; `take` gives them to the writer's thread in batches, in order.

    Attributes:
        reserve, wait_for_room, wait_for_room_async: set room aside for one entry (see `Admission`).
        intent: notes that an attempt is about to be sent (see `Journalling`).
        safe_when, settle, settle_async: tell and wait until a call's entry is safe (see `Settling`).
    """

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
        self._journal_dir = None if durability == "memory" else journal_dir
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
        self.started = self._closed = False
        self._reset()

    def _reset(self) -> None:
        """Begin with another writer id; the parts live no longer than that."""
        self._lock = threading.Lock()
        self.writer = uuid4().hex
        self.health = Health(journal_dir=None if self._journal_dir is None else str(self._journal_dir))
        self.deferred: SimpleQueue[tuple[Call, Status]] = SimpleQueue()
        self._drops: list[int] = []
        self._backlog = Backlog(self.writer, self._lock)
        self._journalling = Journalling(
            self._journal_dir,
            self.writer,
            self.health,
            self._lock,
            on_failure=self._on_failure,
            disk=self._durability == "disk",
            external=self._external,
            max_bytes=self._max_journal_bytes,
        )
        self._admission = Admission(
            self._backlog,
            self._journalling,
            self.health,
            self._lock,
            on_full=self._on_full,
            block_timeout=self._block_timeout,
            start=self.start,
        )
        settling = Settling(self._durability, self._backlog, self._journalling, self._block_timeout)
        self.reserve, self.wait_for_room = self._admission.reserve, self._admission.wait_for_room
        self.wait_for_room_async = self._admission.wait_for_room_async
        self.safe_when, self.settle, self.settle_async = settling.safe_when, settling.settle, settling.settle_async
        self.intent = self._journalling.intent

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
                self._journalling.open()
            except JournalError as error:
                if strict:
                    raise
                self._journalling.failed(error)
            self.started = self._admission.is_open = True
        self._start_writer()
        self.control("open")

    def close(self) -> None:
        """Take nothing any more; what is unsent stays in the journal for the next start."""
        self._journalling.catch_up()
        with self._lock:
            self._closed, self._admission.is_open = True, False
            self._journalling.close()

    def after_fork(self) -> None:
        """In a forked child: begin anew, with another writer id and journal; everything queued is the parent's."""
        if self._journalling.journal is not None:
            self._journalling.journal.after_fork()
        self.started = False
        self._reset()

    # --- the sink of the pipeline ------------------------------------------------------------------------------------

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
        payload = encode(entry)
        with self._lock:
            seq = self._backlog.last_seq = self._backlog.last_seq + 1  # first: an interrupt must not give it twice
            position = self._journalling.append(seq, entry, payload)
            if not self._external:
                self._backlog.add(seq, payload, entry.logged_at_us, journalled=position is not None)
        if call is not None:
            call.position = seq if self._durability == "store" else position
        if self._external and position is None and call is not None:
            self._drop(entry.logged_at_us or 0)  # the shipper sees the journal alone
        if self.on_sealed is not None:
            self.on_sealed(decode(payload))
        self.wake()

    def missing_context(self) -> None:
        """Count a call that nobody put a name to."""
        self.health.missing_context += 1

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

    # --- the writer's side -------------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Put what was dropped on record; see to the journal if it is not where it should be."""
        self.note_drops()
        if self.started and not self._closed:
            self._journalling.tend()

    def take(self, limit: int, *, whole: bool = False) -> Batch | None:
        """The next consecutive entries, at most `limit`; None when nothing waits, or with `whole` fewer."""
        try:
            return self._backlog.take(limit, self._journalling.read_back, self._clock.now_us(), whole=whole)
        except JournalError as error:  # what cannot be read now may be later, or at the next start
            self._journalling.failed(error)
            return None

    def acknowledge(self, upto_seq: int) -> None:
        """The store has committed everything up to this number."""
        self._backlog.acknowledge(upto_seq)
        self._journalling.acknowledge(upto_seq)

    def refresh(self) -> None:
        """With an external writer: learn what it has stored."""
        self._backlog.acknowledge(self._journalling.refresh())

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
    def in_memory_alone(self) -> int:
        """How many entries are sealed, not stored, and in no journal."""
        return self.waiting if self._journal_dir is None else self._journalling.missed

    @property
    def awaited(self) -> bool:
        """Whether calls wait until their entries are stored."""
        return self._durability == "store"

    def snapshot(self) -> Health:
        """The health counters with what waits now."""
        journal, oldest = self._journalling.journal, self._backlog.oldest_us
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
