"""The background writer: a thread with its own event loop that moves entries from the intake into the store.

It serves callers on any loop, on trio and in plain threads, and goes on while the application's loop is blocked. It
starts at the first call or query, never at import and never from a finalizer.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import structs

from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry, Status
from auditmw.errors import (
    AuditError,
    ConfigurationError,
    KeyMismatch,
    PoisonEntry,
    SchemaMismatch,
    SequenceGap,
    StoreUnavailable,
)
from auditmw.intake import Intake
from auditmw.prices import PriceBook
from auditmw.recovery import lost_entries, recovered_batches
from auditmw.sealing import control_entry
from auditmw.stores.protocol import Batch, Store

T = TypeVar("T")
BATCH_ENTRIES: Final = 200
"""More in one transaction would hold the interpreter lock for longer than the application's loop may wait."""
MOST_LOST: Final = 100_000
"""A larger hole in a writer's sequence is not bridged: somebody has to look first."""
GATHER_SECONDS: Final = 0.05
IDLE_SECONDS: Final = 0.25
FIRST_RETRY_SECONDS: Final = 0.05
LAST_RETRY_SECONDS: Final = 1.0


class Writer:
    """Runs in its own thread from `start` to `stop`; every other method may be called from any thread."""

    def __init__(
        self,
        intake: Intake,
        store: Store,
        prices: PriceBook,
        *,
        journal_dir: Path | None,
        key_id: Callable[[], str | None],
        finish_dropped: Callable[[Call, Status], None],
        external: bool,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._intake = intake
        self._store = store
        self._prices = prices
        self._journal_dir = journal_dir
        self._key_id = key_id
        self._finish_dropped = finish_dropped
        self.external = external
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._stopping = False
        self._deadline = float("inf")
        self._asleep = False
        self._opened: Future[None] = Future()
        self._reading = False
        self._pending: Batch | None = None
        self._orphans_wanted = True
        self._flushes: list[tuple[int, Future[None]]] = []
        self._retry_seconds = FIRST_RETRY_SECONDS / 2

    # --- called from other threads -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, if it does not run."""
        with self._lock:
            if self._thread is not None:
                return
            started: Future[None] = Future()
            self._thread = threading.Thread(target=self._run, args=(started,), name="auditmw-writer", daemon=True)
            self._thread.start()
        started.result()
        self._intake.wake = self.wake

    @property
    def running(self) -> bool:
        """Whether the thread was started."""
        return self._thread is not None

    def wake(self) -> None:
        """Tell the thread that an entry waits; cheap while it is awake."""
        if self._asleep and self._loop is not None and self._news is not None:
            self._asleep = False
            self._loop.call_soon_threadsafe(self._news.set)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the writer's loop."""
        self.start()
        assert self._loop is not None  # noqa: S101  (start has waited for it)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def opened(self) -> Future[None]:
        """Done when the store is open for writing; holds the error if it never will be."""
        self.start()
        return self._opened

    def flush(self) -> Future[None]:
        """Done when everything handed over so far, and every orphan journal found, is stored."""
        self.start()
        future: Future[None] = Future()
        self._intake.note_drops()
        with self._lock:
            self._orphans_wanted = True
            self._flushes.append((self._intake.last_seq, future))
        self._asleep = True
        self.wake()
        return future

    def stop(self, timeout: float) -> int:
        """Drain for at most `timeout` seconds, close the store and end the thread; returns how many entries remain."""
        with self._lock:
            thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return self._intake.waiting
        loop.call_soon_threadsafe(self._stop_after, timeout)
        thread.join(timeout + 5)
        return self._intake.waiting

    def after_fork(self) -> None:
        """In a forked child: the thread and its connections are the parent's; begin anew when needed."""
        _inherited.append((self._loop, self._store))  # never finalized here: they are the parent's
        self._reset()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self, started: Future[None]) -> None:
        async def main() -> None:
            self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
            started.set_result(None)
            await self._work()

        try:
            asyncio.run(main())
        except Exception as error:  # a defect: say it rather than die in silence
            report("auditmw.writer_died", error=repr(error))
            raise

    def _stop_after(self, timeout: float) -> None:
        assert self._loop is not None  # noqa: S101  (it runs this)
        assert self._news is not None  # noqa: S101  (as above)
        self._deadline = self._loop.time() + timeout
        self._stopping = True
        self._news.set()

    async def _work(self) -> None:
        try:
            while not self._must_end():
                await self._step()
        finally:
            if (self._opened.done() and self._opened.exception() is None) or self._reading:
                await self._close_store()
            error = AuditError("the trail was closed before everything was stored; the rest waits in the journal")
            self._resolve_flushes(error)

    async def _close_store(self) -> None:
        try:
            await self._store.close()
        except Exception as error:
            report("auditmw.store_not_closed", error=str(error))

    def _must_end(self) -> bool:
        if not self._stopping:
            return False
        done = self._pending is None and self._intake.waiting == 0 and self._intake.deferred.empty()
        return done or self.external or self._now() >= self._deadline

    def _now(self) -> float:
        assert self._loop is not None  # noqa: S101  (called on the loop)
        return self._loop.time()

    async def _step(self) -> None:
        """One round: finish dropped calls, store what waits, answer flushes, or sleep."""
        await self._finish_deferred()
        self._intake.note_drops()
        busy = False
        if self.external:
            self._intake.refresh()
        elif self._intake.started or self._flushes:
            busy = await self._open() and (await self._recover() or await self._store_next())
        self._resolve_flushes(None)
        if not busy:
            await self._sleep()

    async def _sleep(self) -> None:
        assert self._news is not None  # noqa: S101  (called on the loop)
        in_use = self._intake.health.in_flight or self._flushes or self._stopping or self._pending
        self._news.clear()
        self._asleep = True
        if self._intake.waiting and not self.external:
            in_use = True
        try:
            async with asyncio.timeout(IDLE_SECONDS if in_use or self.external else None):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._asleep = False
        if not self._flushes and not self._stopping:
            await asyncio.sleep(GATHER_SECONDS)  # so that a batch gathers

    async def _finish_deferred(self) -> None:
        while not self._intake.deferred.empty():
            call, status = self._intake.deferred.get()
            if call.run.loop is None:
                self._finish_dropped(call, status)
            else:  # its async halves run on the application's loop, for which this one must not wait
                await asyncio.to_thread(self._finish_dropped, call, status)

    async def _open(self) -> bool:
        if self._opened.done() and self._opened.exception() is None:
            return True
        try:
            if self._reading:
                await self._store.close()
                self._reading = False
            await self._store.open()
            if (key_id := self._key_id()) is not None:
                await self._store.bind_key(key_id)
        except (ConfigurationError, SchemaMismatch, KeyMismatch) as error:
            self._failed(error)
            if not self._opened.done():
                self._opened.set_exception(error)
            self._resolve_flushes(error)
            await self._pause(LAST_RETRY_SECONDS)
            return False
        except Exception as error:
            self._failed(error)
            await self._pause(self._backoff())
            return False
        if self._opened.done():
            self._opened = Future()
        self._opened.set_result(None)
        await asyncio.to_thread(self._prices.load)
        self._recovered()
        return True

    async def _recover(self) -> bool:
        """Store what dead processes left in the journal directory; whether there was anything."""
        if not self._orphans_wanted or self._journal_dir is None:
            return False
        found = False
        for orphan, batches, note in recovered_batches(self._journal_dir, self._clock.now_us()):
            found = True
            try:
                for batch in batches:
                    if not await self._store_all(batch):
                        self._orphans_wanted = True
                        return True
                orphan.remove()
            finally:
                orphan.release()
            self._intake.health.recovered += note["sealed"]
            self._intake.health.interrupted += note["interrupted"]
            report("auditmw.recovered", "warning", **note)
        self._orphans_wanted = False
        return found

    async def _store_next(self) -> bool:
        batch = self._pending or self._intake.take(BATCH_ENTRIES)
        if batch is None:
            return False
        self._pending = batch
        if await self._store_all(batch):
            self._pending = None
            self._intake.acknowledge(batch.last_seq)
        return True

    async def _store_all(self, batch: Batch) -> bool:
        """Store a batch, trying again until it is stored or the thread must end; whether it was."""
        batch = structs.replace(batch, entries=[self._priced(entry) for entry in batch.entries])
        while True:
            try:
                self._intake.health.written += await self._store.append(batch)
            except PoisonEntry as error:
                batch = self._without(batch, error)
            except SequenceGap as error:
                if batch.first_seq - error.last_seq > MOST_LOST:
                    self._failed(error)
                    await self._pause(LAST_RETRY_SECONDS)
                else:
                    batch = self._bridged(batch, error.last_seq)
            except StoreUnavailable as error:
                self._failed(error)
                self._intake.health.retried += 1
                await self._pause(self._backoff())
            except Exception as error:
                if len(batch.entries) == 1:
                    batch = self._without(batch, PoisonEntry(f"{type(error).__name__}: {error}", 0))
                    continue
                self._failed(error)
                return await self._store_halves(batch)
            else:
                self._recovered()
                return True
            if self._stopping and self._now() >= self._deadline:
                return False

    async def _store_halves(self, batch: Batch) -> bool:
        """An error that no store should raise: find the entry that causes it."""
        middle = len(batch.entries) // 2
        first = Batch(batch.writer, batch.first_seq, batch.entries[:middle])
        second = Batch(batch.writer, batch.first_seq + middle, batch.entries[middle:])
        return await self._store_all(first) and await self._store_all(second)

    def _priced(self, entry: AuditEntry) -> AuditEntry:
        if entry.kind != "llm" or entry.cost_status is not None:
            return entry
        try:
            cost = self._prices.price(entry)
        except Exception as error:  # a defect in a price table costs a price, never an entry
            report("auditmw.not_priced", error=repr(error), request_id=entry.request_id)
            return entry
        return structs.replace(
            entry, cost_nano=cost.nano, cost_status=cost.status, price_source=cost.source, unit_prices=cost.unit_prices
        )

    def _bridged(self, batch: Batch, last_seq: int) -> Batch:
        """The batch with what the store misses before it marked as lost."""
        lost = lost_entries(batch.writer, last_seq + 1, batch.first_seq, self._clock.now_us())
        report("auditmw.entries_lost", writer=batch.writer, count=len(lost), meaning="the store has lost entries")
        return Batch(batch.writer, last_seq + 1, [*lost, *batch.entries])

    def _without(self, batch: Batch, error: PoisonEntry) -> Batch:
        """The batch with the refused entry set aside and a control entry under its number in its place."""
        poison = batch.entries[error.index]
        self._intake.health.set_aside += 1
        kept = self._set_aside(poison, error)
        report("auditmw.entry_set_aside", error=str(error), request_id=poison.request_id, kept_in=kept)
        note = control_entry(
            poison.request_id, poison.logged_at_us or poison.timestamp_us, "set_aside", error=str(error), kept_in=kept
        )
        entries = list(batch.entries)
        entries[error.index] = structs.replace(note, writer=poison.writer, seq=poison.seq)
        return structs.replace(batch, entries=entries)

    def _set_aside(self, poison: AuditEntry, error: PoisonEntry) -> str | None:
        if self._journal_dir is None:
            return None
        path = self._journal_dir / "set_aside.jsonl"
        try:
            self._journal_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("ab") as file:
                path.chmod(0o600)
                file.write(msgspec.json.encode({"error": str(error), "entry": list(structs.astuple(poison))}) + b"\n")
        except (OSError, TypeError, ValueError) as failure:
            report("auditmw.set_aside_failed", error=str(failure))
            return None
        return str(path)

    def _failed(self, error: Exception) -> None:
        if self._intake.health.last_store_error is None:
            report("auditmw.store_unavailable", error=str(error), meaning="entries wait in the journal")
        self._intake.health.last_store_error = str(error)
        self._retry_seconds = min(LAST_RETRY_SECONDS, self._retry_seconds * 2)

    def _recovered(self) -> None:
        if self._intake.health.last_store_error is not None:
            report("auditmw.store_available", "info")
        self._intake.health.last_store_error = None
        self._retry_seconds = FIRST_RETRY_SECONDS / 2

    def _backoff(self) -> float:
        return self._retry_seconds * random.uniform(0.5, 1)

    async def _pause(self, seconds: float) -> None:
        left = self._deadline - self._now()
        await asyncio.sleep(max(0.0, min(seconds, left)))

    def _resolve_flushes(self, error: Exception | None) -> None:
        with self._lock:
            waiting, self._flushes = self._flushes, []
        for seq, future in waiting:
            if error is not None:
                future.set_exception(error)
            elif self._intake.stored >= seq and not (self._orphans_wanted and self._journal_dir is not None):
                future.set_result(None)
            else:
                with self._lock:
                    self._flushes.append((seq, future))

    # --- reading -----------------------------------------------------------------------------------------------------

    async def open_for_reading(self) -> None:
        """Open the store without changing anything, unless it is open already; run with `submit`."""
        opened = self._opened.done() and self._opened.exception() is None
        if self._reading or opened:
            return
        if self._intake.started:
            await asyncio.wrap_future(self._opened)
            return
        await self._store.open(read_only=True)
        self._reading = True


_inherited: list[Any] = []
