"""The calling thread's side of the writer: admits attempts, numbers and journals their entries, queues them.

An entry is in the journal before the call returns. The queue in memory is bounded: what does not fit is read back from
the journal when its turn comes, so that an outage of the store costs disk and no memory.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal

import anyio
from uuid_utils import uuid4

from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry, Status
from auditmw.errors import AuditUnavailable, JournalError, TrailClosed
from auditmw.health import Health
from auditmw.journal import Journal
from auditmw.sealing import control_entry, decode, encode, entry_of, entry_of_intent, id_bytes, numbered
from auditmw.stores.protocol import Batch

Durability = Literal["memory", "process", "disk", "store"]
OnFull = Literal["block", "drop"]
OnFailure = Literal["continue", "refuse"]

QUEUE_ENTRIES: Final = 10_000
"""Entries held in memory before the rest waits in the journal alone."""
MEMORY_ENTRIES: Final = 100_000
"""The same without a journal: then `on_full` decides."""
RESERVED_BYTES: Final = 4096
"""Room in the journal that is set aside for the entry of an attempt in flight."""
POLL_SECONDS: Final = 0.01


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
        self.health = Health(journal_dir=None if journal_dir is None else str(journal_dir))
        self.deferred: SimpleQueue[tuple[Call, Status]] = SimpleQueue()
        self._journal_dir = None if durability == "memory" else journal_dir
        self._durability = durability
        self._on_full = on_full
        self._on_failure = on_failure
        self._block_timeout = block_timeout
        self._max_journal_bytes = max_journal_bytes
        self._external = external
        self._clock = clock
        self._start_writer = start_writer
        self.on_sealed: Callable[[AuditEntry], None] | None = None
        self.wake: Callable[[], None] = lambda: None
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self.writer = uuid4().hex
        self.started = self._closed = False
        self._journal: Journal | None = None
        self._queue: deque[tuple[int, AuditEntry, int]] = deque()
        self._queue_bytes = 0
        self._spilled: Iterator[tuple[int, AuditEntry, int]] | None = None
        self._spilling = False
        self._last_seq = self._taken = self.stored = 0
        self._drops: list[int] = []
        self._stored_waits: list[tuple[int, Future[None]]] = []

    # --- start and end -----------------------------------------------------------------------------------------------

    def start(self, *, strict: bool = False) -> None:
        """Open the journal and note that this writer begins; at the first call, or when the trail is entered.

        Raises:
            TrailClosed: the trail is closed.
            JournalError: only if `strict`, else `on_failure` decides at every call.
        """
        with self._lock:
            if self._closed:
                raise TrailClosed
            if self.started:
                return
            self.started = True
            if self._journal_dir is not None:
                self._open_journal(strict=strict)
        self._start_writer()
        self.control("open")

    def _open_journal(self, *, strict: bool) -> None:
        assert self._journal_dir is not None  # noqa: S101  (asked by the caller)
        try:
            self._journal = Journal(
                self._journal_dir,
                writer_id=bytes.fromhex(self.writer),
                disk=self._durability == "disk",
                external=self._external,
                max_bytes=self._max_journal_bytes,
            )
        except JournalError as error:
            if strict:
                self.started = False
                raise
            self._journal_failed(error)

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
            if self._journal is not None:
                fits = self._journal.room() >= in_flight * RESERVED_BYTES
            else:
                fits = len(self._queue) + in_flight <= MEMORY_ENTRIES
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
                raise JournalError(f"there is no journal in {self._journal_dir}: restore the directory and restart")
            _, payload = encode(entry_of_intent(call))
            call.position = self._journal.append_intent(id_bytes(call.request_id), payload)
        except JournalError as error:
            self._journal_failed(error)
            if self._on_failure == "refuse":
                raise AuditUnavailable from error

    def seal(self, call: Call) -> None:
        """Make the attempt's entry: numbered, journalled, handed over. Never raises."""
        now = self._clock.now_us()
        if not call.admitted:
            self._drop(now)
            return
        try:
            self._put(entry_of(call, now), call)
        except Exception as error:  # a defect here must not reach the caller: it is a loss, counted and alarmed
            report("auditmw.entry_lost", error=repr(error), request_id=call.request_id)
            self._drop(now)
        finally:
            with self._lock:
                self.health.in_flight -= 1

    def control(self, action: str, **metadata: object) -> None:
        """Add an entry about the trail itself."""
        self._put(control_entry(_new_id(), self._clock.now_us(), action, **metadata), None)

    def _put(self, entry: AuditEntry, call: Call | None) -> None:
        entry, payload = encode(entry)
        with self._lock:
            seq = self._last_seq = self._last_seq + 1  # before the write: an interrupt must not give a number twice
            position = self._append(seq, entry, payload)
            if self._journal is None or not (self._spilling or len(self._queue) >= QUEUE_ENTRIES):
                self._queue.append((seq, entry, len(payload)))
                self._queue_bytes += len(payload)
            elif position is not None:
                self._spilling = True
            else:  # not in the journal either: memory is all there is
                self._queue.append((seq, entry, len(payload)))
        if call is not None:
            call.position = seq if self._durability == "store" else position
        if self.on_sealed is not None:
            self.on_sealed(entry)
        self.wake()

    def _append(self, seq: int, entry: AuditEntry, payload: bytes) -> int | None:
        if self._journal is None:
            return None
        try:
            return self._journal.append_sealed(seq, id_bytes(entry.request_id), payload)
        except JournalError as error:
            self._journal_failed(error)
            return None

    def _journal_failed(self, error: JournalError) -> None:
        self.health.journal_failures += 1
        report("auditmw.journal_failed", error=str(error), on_failure=self._on_failure)

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
        """Wait until what was appended for the call is as safe as `durability` says."""
        if (future := self._safe_when(call)) is not None:
            self._settled(future.exception(self._block_timeout))

    async def settle_async(self, call: Call) -> None:
        """The same without blocking the loop."""
        future = self._safe_when(call)
        if future is None:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._block_timeout):
            await wait_for(future)
        self._settled(future.exception() if future.done() else TimeoutError())

    def _safe_when(self, call: Call) -> Future[None] | None:
        if call.position is None or self._durability in {"memory", "process"}:
            return None
        if self._durability == "disk":
            try:
                return None if self._journal is None else self._journal.synced(call.position)
            except JournalError as error:
                self._journal_failed(error)
                return None
        return self._stored_when(call)

    def _stored_when(self, call: Call) -> Future[None] | None:
        if call.status is None or call.position is None:  # the intent is never stored, only journalled
            return None
        future: Future[None] = Future()
        with self._lock:
            if call.position <= self.stored:
                return None
            self._stored_waits.append((call.position, future))
        return future

    def _settled(self, error: BaseException | None) -> None:
        if isinstance(error, JournalError):
            self._journal_failed(error)
        elif error is not None:
            report("auditmw.not_durable_yet", durability=self._durability, waited_s=self._block_timeout)

    # --- the writer's side -------------------------------------------------------------------------------------------

    def take(self, limit: int) -> Batch | None:
        """The next consecutive entries, at most `limit`; None when nothing waits."""
        self._unspill(limit)
        with self._lock:
            count = min(limit, len(self._queue))
            if not count:
                return None
            taken = [self._queue.popleft() for _ in range(count)]
            self._queue_bytes -= sum(size for _, _, size in taken)
            self._taken = taken[-1][0]
        entries = [numbered(entry, self.writer, seq) for seq, entry, _ in taken]
        return Batch(self.writer, taken[0][0], entries)

    def _unspill(self, limit: int) -> None:
        """Read back from the journal what did not fit into memory, when what did has been taken."""
        while self._spilling and len(self._queue) < limit:
            if self._spilled is None:
                self._spilled = self._read_back(self._queue[-1][0] if self._queue else self._taken)
            item = next(self._spilled, None)
            with self._lock:
                if item is not None:
                    self._queue.append(item)
                    self._queue_bytes += item[2]
                    continue
                self._spilled = None
                last = self._queue[-1][0] if self._queue else self._taken
                if last >= self._last_seq:
                    self._spilling = False

    def _read_back(self, after: int) -> Iterator[tuple[int, AuditEntry, int]]:
        assert self._journal is not None  # noqa: S101  (nothing spills without one)
        for record in self._journal.sealed_after(after):
            yield record.seq, decode(record.payload), len(record.payload)

    def acknowledge(self, upto_seq: int) -> None:
        """The store has committed everything up to this number."""
        with self._lock:
            self.stored = upto_seq
            done = [future for seq, future in self._stored_waits if seq <= upto_seq]
            self._stored_waits = [wait for wait in self._stored_waits if wait[0] > upto_seq]
        for future in done:
            future.set_result(None)
        if self._journal is not None:
            try:
                self._journal.acknowledge(upto_seq)
            except JournalError as error:
                self._journal_failed(error)

    def refresh(self) -> None:
        """With an external writer: learn what it has stored."""
        if self._journal is not None:
            self._journal.refresh()
            self.stored = self._journal.acknowledged

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed

    @property
    def last_seq(self) -> int:
        """The highest number given so far."""
        return self._last_seq

    @property
    def waiting(self) -> int:
        """How many entries are sealed and not stored."""
        return self._last_seq - self.stored

    def snapshot(self) -> Health:
        """The health counters with what waits now."""
        health = self.health
        health.queue_entries = self.waiting
        health.queue_bytes = self._queue_bytes
        if self._journal is not None:
            health.slow_journal_writes = self._journal.slow_writes
            health.queue_bytes = max(self._queue_bytes, self._journal.bytes_used if self.waiting else 0)
        with self._lock:
            oldest = self._queue[0][1].logged_at_us if self._queue else None
        health.oldest_unsent_s = None if oldest is None else max(0, self._clock.now_us() - oldest) / 1e6
        return health


async def wait_for(future: Future[Any]) -> None:
    """Await a thread's future under asyncio or trio, without raising its error."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        await anyio.to_thread.run_sync(future.exception, abandon_on_cancel=True)
        return
    done = loop.create_future()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(_resolve, done))
    await done


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _new_id() -> str:
    from uuid_utils import uuid7

    return str(uuid7())
