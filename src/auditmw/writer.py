"""The background writer: a thread with its own event loop that moves entries from the intake into the store.

It serves callers on any loop, on trio and in plain threads, and goes on while the application's loop is blocked. It
starts at the first call or query, never at import and never from a finalizer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from auditmw.alarms import Alarms
from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.conveyor import Conveyor
from auditmw.delivery import LAST_RETRY_SECONDS, Delivery
from auditmw.diagnostics import report
from auditmw.entry import Status
from auditmw.errors import AuditError, ConfigurationError, KeyMismatch, SchemaMismatch, TrailClosed
from auditmw.futures import Threads
from auditmw.intake import Intake
from auditmw.prices import PriceBook
from auditmw.rolling import Rolling
from auditmw.signing import Signing
from auditmw.stores.protocol import Store

T = TypeVar("T")
BATCH_ENTRIES: Final = 200
"""More in one transaction would hold the interpreter lock for longer than the application's loop may wait."""
GATHER_SECONDS: Final = 0.05
IDLE_SECONDS: Final = 0.25
FORK_SECONDS: Final = 15.0
"""A little longer than SQLite waits for a lock."""


class Beside(Protocol):
    """What goes on beside the writing, as long as the store is open, and never raises."""

    async def step(self) -> float:
        """Begin what is due; returns the seconds until it wants to be called again."""

    async def close(self) -> None:
        """End it, within a bounded time."""


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
        signing: Callable[[], Signing | None],
        finish_dropped: Callable[[Call, Status], None],
        on_start: Callable[[], None],
        on_open: Callable[[Store], Awaitable[None]],
        watch: Callable[[asyncio.Lock], Beside | None],
        external: bool,
        clock: Clock,
    ) -> None:
        self.external = external
        self._intake = intake
        self._store = store
        self._prices = prices
        self._journal_dir = journal_dir
        self._key_id = key_id
        self._make_signing = signing
        self._finish_dropped = finish_dropped
        self._on_start = on_start
        self._on_open = on_open
        self._make_watch = watch
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._hurry: asyncio.Event | None = None
        self._task: asyncio.Task[Any] | None = None
        self._alarms = Alarms()
        self._steady = asyncio.Lock()  # while connections come and go, no fork
        self._fork_over = threading.Event()
        self._deadline: float | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._asleep = False
        self._opened: Future[None] = Future()
        self._tried: Future[None] = Future()
        self._reading = False
        self._signing: Signing | None = None
        self._beside: list[Beside] = []
        self._orphans_wanted = self._journal_dir is not None and not self.external
        self._asked: list[Future[None]] = []
        self._flushes: list[tuple[int, Future[None]]] = []
        self._delivery = Delivery(
            self._store,
            self._prices,
            self._intake.health,
            clock=self._clock,
            journal_dir=self._journal_dir,
            give_up=self._out_of_time,
            pause=self._pause,
        )
        take = partial(self._intake.take, BATCH_ENTRIES)
        self._conveyor = Conveyor(self._delivery, take, partial(take, whole=True))

    # --- called from other threads -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, if it does not run."""
        with self._lock:
            if self._thread is not None:
                return
            self._on_start()
            started: Future[None] = Future()
            self._thread = threading.Thread(target=self._run, args=(started,), name="auditmw-writer", daemon=True)
            self._thread.start()
            started.result()
        self._intake.wake = self.wake

    def wake(self) -> None:
        """Tell the thread that an entry waits; cheap while it is awake."""
        if self._asleep and self._loop is not None and self._news is not None:
            self._asleep = False
            self._loop.call_soon_threadsafe(self._news.set)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the writer's loop; takes no lock once that runs, since a finalizer may ask.

        Raises:
            TrailClosed: nothing runs it any more.
        """
        if self._intake.closed:
            work.close()
            raise TrailClosed
        if self._loop is None:
            self.start()
        assert self._loop is not None  # noqa: S101  (start has waited for it)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def tried(self) -> Future[None]:
        """Done when the store was asked to open, reachable or not; holds the error if it never can be as it is."""
        self.start()
        return self._tried

    def flush(self) -> Future[None]:
        """Done when everything handed over so far, and every orphan journal found, is stored; raises as `submit`."""
        if self._intake.closed:
            raise TrailClosed
        self.start()
        future: Future[None] = Future()
        with self._lock:
            self._orphans_wanted = self._journal_dir is not None and not self.external
            self._asked.append(future)
        assert self._loop is not None  # noqa: S101  (start has waited for it)
        self._loop.call_soon_threadsafe(self._go_on)
        return future

    def stop(self, timeout: float) -> int:
        """Drain for at most `timeout` seconds, close the store and end the thread; returns how many entries remain."""
        with self._lock:
            thread, loop = self._thread, self._loop
        if thread is not None and loop is not None:
            if thread.is_alive():
                loop.call_soon_threadsafe(self._stop_after, timeout)
            thread.join(timeout + 5)
        return self._intake.waiting

    def before_fork(self) -> None:
        """Have the store let go of what a child must not inherit, until `after_fork_in_parent`."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None or not thread.is_alive() or thread is threading.current_thread():
            return
        gone, self._fork_over = threading.Event(), threading.Event()
        asyncio.run_coroutine_threadsafe(self._stand_aside(gone, self._fork_over), loop)
        if not gone.wait(FORK_SECONDS):
            report("auditmw.fork_unsafe", meaning="the store is busy: the child may not be able to use it")

    async def _stand_aside(self, gone: threading.Event, over: threading.Event) -> None:
        async with self._steady:
            await self._store.stand_aside(gone, over)

    def after_fork_in_parent(self) -> None:
        """Have the store go on."""
        self._fork_over.set()

    def after_fork(self, store: Store) -> None:
        """In a forked child: the thread and its connections are the parent's; begin anew when needed."""
        _inherited.append((self._loop, self._store))  # never finalized here: they are the parent's
        self._store = store
        self._reset()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self, started: Future[None]) -> None:
        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            self._loop.set_default_executor(Threads())
            self._news, self._hurry = asyncio.Event(), asyncio.Event()
            started.set_result(None)
            await self._work()

        try:
            asyncio.run(main())
        except Exception as error:  # a defect: say it rather than die in silence
            report("auditmw.writer_died", error=repr(error))
            raise

    def _stop_after(self, timeout: float) -> None:
        assert self._task is not None  # noqa: S101  (asked on the loop only)
        self._deadline = self._running_loop.time() + timeout
        self._limit = self._running_loop.call_at(self._deadline, self._task.cancel)  # whatever the store is doing
        self._go_on()

    def _go_on(self) -> None:
        assert self._hurry is not None  # noqa: S101  (as above)
        self._some_news.set()
        self._hurry.set()

    async def _pause(self, seconds: float) -> None:
        """Wait before the store is tried again; a flush or the end has it tried at once."""
        await self._keep_house()
        assert self._hurry is not None  # noqa: S101  (as above)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None  # noqa: S101  (asked on the loop only)
        return self._loop

    @property
    def _some_news(self) -> asyncio.Event:
        assert self._news is not None  # noqa: S101  (as above)
        return self._news

    def _out_of_time(self) -> bool:
        return self._deadline is not None and self._running_loop.time() >= self._deadline

    @property
    def _is_open(self) -> bool:
        return self._opened.done() and self._opened.exception() is None

    async def _work(self) -> None:
        try:
            while not self._must_end():
                try:
                    await self._step()
                except Exception as error:  # a defect: entries wait in the journal rather than the writer ends
                    report("auditmw.writer_failed", error=repr(error))
                    await self._delivery.failed(error)
        except asyncio.CancelledError:
            if not self._out_of_time():
                raise
        finally:
            if self._limit is not None:
                self._limit.cancel()
            if self._signing is not None:
                await self._signing.close()
            for one in self._beside:
                await one.close()
            if self._is_open or self._reading:
                await self._close_store()
            self._answer_flushes(
                AuditError("the trail was closed before all was stored; the rest waits in the journal")
            )

    async def _close_store(self) -> None:
        try:
            await self._store.close()
        except Exception as error:  # whatever the driver says, the thread goes on or ends
            report("auditmw.store_not_closed", error=str(error))

    def _must_end(self) -> bool:
        if self._deadline is None:
            return False
        done = self._intake.waiting == 0 and self._intake.deferred.empty()
        return done or self.external or self._out_of_time()

    async def _step(self) -> None:
        """One round: finish dropped calls, store what waits, answer flushes, or sleep."""
        with self._lock:
            asked, self._asked = self._asked, []
        try:
            await self._keep_house()  # streams that were dropped before a flush was asked for belong to it
        finally:
            with self._lock:
                self._flushes += [(self._intake.last_seq, future) for future in asked]
        stored, seconds = False, inf
        if self.external:
            if not self._tried.done():
                self._tried.set_result(None)
            self._intake.refresh()
        elif (self._intake.started or self._flushes) and await self._open():
            if self._orphans_wanted:
                self._orphans_wanted = False
                self._orphans_wanted = not await self._delivery.recover()
            stored = await self._store_next()
            if self._signing is not None:
                seconds = await self._signing.step()
            for one in self._beside:
                seconds = min(seconds, await one.step())
        self._answer_flushes(None)
        if not stored:
            await self._sleep(seconds)
        elif self._intake.waiting < BATCH_ENTRIES:
            await self._gather()

    async def _sleep(self, seconds: float) -> None:
        busy = self._intake.health.in_flight or self._flushes or self._intake.waiting or self._deadline is not None
        self._asleep = True
        try:
            async with asyncio.timeout(min(IDLE_SECONDS, seconds) if busy else None if seconds == inf else seconds):
                await self._some_news.wait()
        except TimeoutError:
            return
        finally:
            self._asleep = False
            self._some_news.clear()
        await self._gather()

    async def _gather(self) -> None:
        """Let a batch gather, unless somebody waits for what is there: many small commits cost ten times as much."""
        if not (self._asked or self._flushes or self._intake.awaited or self._deadline is not None):
            await asyncio.sleep(GATHER_SECONDS)

    async def _keep_house(self) -> None:
        """What must go on whether or not the store answers."""
        for call, status in self._intake.dropped_calls():
            if call.run.loop is None:
                self._finish_dropped(call, status)
            else:  # its async halves run on the application's loop, for which this one must not wait
                await asyncio.to_thread(self._finish_dropped, call, status)
        self._intake.tend()
        self._alarms.tell(self._intake.snapshot())

    async def _open(self) -> bool:
        if self._is_open:
            return True
        async with self._steady:
            return await self._try_to_open()

    async def _try_to_open(self) -> bool:
        try:
            if self._reading:
                self._reading = False
                await self._store.close()
            await self._store.open()
            if (key_id := self._key_id()) is not None:
                await self._store.bind_key(key_id)
            await self._on_open(self._store)
            self._signing = self._make_signing()
            rollups = self._store.rollups
            rolling = None if rollups is None else Rolling(rollups, self._intake.health, self._clock)
            self._beside = [one for one in (rolling, self._make_watch(self._steady)) if one is not None]
        except (ConfigurationError, SchemaMismatch, KeyMismatch) as error:  # may be mended while we run
            await self._close_store()
            for future in (self._opened, self._tried):
                if not future.done():
                    future.set_exception(error)
            self._answer_flushes(error)
            await self._delivery.failed(error)
            await self._pause(0 if self._deadline else LAST_RETRY_SECONDS)
            return False
        except Exception as error:
            await self._close_store()
            await self._delivery.failed(error)
            if not self._tried.done():
                self._tried.set_result(None)
            return False
        if self._opened.done():
            self._opened = Future()
        self._opened.set_result(None)
        if not self._tried.done():
            self._tried.set_result(None)
        self._delivery.succeeded()
        await asyncio.to_thread(self._prices.load)
        return True

    async def _store_next(self) -> bool:
        batch = await self._conveyor.move()
        if batch is not None:
            self._intake.acknowledge(batch.last_seq)
        return batch is not None

    def _answer_flushes(self, error: Exception | None) -> None:
        with self._lock:
            waiting, self._flushes = self._flushes, []
            if error is not None:
                waiting += [(0, future) for future in self._asked]
                self._asked = []
            for seq, future in waiting:
                if error is not None:
                    future.set_exception(error)
                elif self._intake.stored >= seq and not self._orphans_wanted:
                    future.set_result(None)
                else:
                    self._flushes.append((seq, future))

    # --- reading -----------------------------------------------------------------------------------------------------

    async def open_for_reading(self) -> None:
        """Open the store without changing anything, unless it is open already; run with `submit`."""
        if self._is_open:
            return
        if self._intake.started and not self.external:
            await asyncio.wrap_future(self._opened)
        elif not self._reading:
            async with self._steady:
                await self._store.open(read_only=True)
                self._reading = True


_inherited: list[Any] = []
