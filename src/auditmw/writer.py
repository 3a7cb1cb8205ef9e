"""The background writer: a thread with its own event loop that moves entries from the intake into the store.

It serves callers on any loop, on trio and in plain threads, and goes on while the application's loop is blocked. It
starts at the first call or query, never at import and never from a finalizer. What it does is in `auditmw.writing`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

from auditmw.call import Call
from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.entry import Status
from auditmw.errors import TrailClosed
from auditmw.flushes import Flushes
from auditmw.futures import Threads
from auditmw.intake import Intake
from auditmw.opening import Beside, Opening
from auditmw.prices import PriceBook
from auditmw.rolling import Rolling
from auditmw.stores.protocol import Store
from auditmw.writing import Writing

T = TypeVar("T")
FORK_SECONDS: Final = 15.0
"""A little longer than SQLite waits for a lock."""


class Writer:
    """Runs in its own thread from `start` to `stop`; every method may be called from any thread.

    `signing` and `watch` make what goes on beside the writing, once the store is open; `watch` gets the lock that keeps
    connections from coming and going.
    """

    def __init__(
        self,
        intake: Intake,
        store: Store,
        prices: PriceBook,
        *,
        journal_dir: Path | None,
        key_id: Callable[[], str | None],
        signing: Callable[[], Beside | None],
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
        self._fork_over = threading.Event()
        self._flushes = Flushes()
        self._opening = Opening(
            self._store, key_id=self._key_id, on_open=self._on_open, beside=self._beside, load=self._prices.load
        )
        self._writing = Writing(
            self._intake,
            self._store,
            self._prices,
            self._opening,
            self._flushes,
            journal_dir=self._journal_dir,
            finish_dropped=self._finish_dropped,
            external=self.external,
            clock=self._clock,
        )

    def _beside(self, steady: asyncio.Lock) -> Iterator[Beside | None]:
        yield self._make_signing()
        if self._store.rollups is not None:
            yield Rolling(self._store.rollups, self._intake.health, self._clock)
        yield self._make_watch(steady)

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

    def _run(self, started: Future[None]) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.set_default_executor(Threads())
            started.set_result(None)
            await self._writing.run()

        try:
            asyncio.run(main())
        except Exception as error:  # a defect: say it rather than die in silence
            report("auditmw.writer_died", error=repr(error))
            raise

    def wake(self) -> None:
        """Tell the thread that an entry waits; cheap while it is awake."""
        writing = self._writing
        if writing.asleep and self._loop is not None:
            writing.asleep = False
            self._loop.call_soon_threadsafe(writing.news.set)

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
        return self._opening.tried

    def flush(self) -> Future[None]:
        """Done when everything handed over so far, and every orphan journal found, is stored; raises as `submit`."""
        if self._intake.closed:
            raise TrailClosed
        self.start()
        self._writing.orphans_wanted = self._journal_dir is not None and not self.external
        future = self._flushes.ask()
        assert self._loop is not None  # noqa: S101  (start has waited for it)
        self._loop.call_soon_threadsafe(self._writing.go_on)
        return future

    def stop(self, timeout: float) -> int:
        """Drain for at most `timeout` seconds, close the store and end the thread; returns how many entries remain."""
        with self._lock:
            thread, loop = self._thread, self._loop
        if thread is not None and loop is not None:
            if thread.is_alive():
                loop.call_soon_threadsafe(self._writing.stop_after, timeout)
            thread.join(timeout + 5)
        return self._intake.waiting

    async def open_for_reading(self) -> None:
        """Open the store without changing anything, unless it is open already; run with `submit`."""
        if self._intake.started and not self.external:
            await asyncio.wrap_future(self._opening.opened)
        else:
            await self._opening.open_for_reading()

    # --- forks -------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Have the store let go of what a child must not inherit, until `after_fork_in_parent`."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None or not thread.is_alive() or thread is threading.current_thread():
            return
        gone, self._fork_over = threading.Event(), threading.Event()
        asyncio.run_coroutine_threadsafe(self._opening.stand_aside(gone, self._fork_over), loop)
        if not gone.wait(FORK_SECONDS):
            report("auditmw.fork_unsafe", meaning="the store is busy: the child may not be able to use it")

    def after_fork_in_parent(self) -> None:
        """Have the store go on."""
        self._fork_over.set()

    def after_fork(self, store: Store) -> None:
        """In a forked child: the thread and its connections are the parent's; begin anew when needed."""
        _inherited.append((self._loop, self._store))  # never finalized here: they are the parent's
        self._store = store
        self._reset()


_inherited: list[Any] = []
