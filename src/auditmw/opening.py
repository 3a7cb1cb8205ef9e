"""Opens the writer's store: for writing when something is to be stored, for reading when somebody asks before that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from threading import Event
from typing import Protocol

from auditmw.diagnostics import report
from auditmw.errors import ConfigurationError, KeyMismatch, SchemaMismatch
from auditmw.stores.protocol import Store

UNUSABLE = (ConfigurationError, SchemaMismatch, KeyMismatch)
"""What somebody has to put right, also while the application runs."""


class Beside(Protocol):
    """What goes on beside the writing, as long as the store is open, and never raises."""

    async def step(self) -> float:
        """Begin what is due; returns the seconds until it wants to be called again."""

    async def close(self) -> None:
        """End it, within a bounded time."""


class Opening:
    """Lives on the writer's event loop.

    Attributes:
        tried: done when the store was asked to open, reachable or not; holds the error if it never can be as it is.
        opened: done when it is open for writing.
        beside: what goes on beside the writing; nothing until it is open.
    """

    def __init__(
        self,
        store: Store,
        *,
        key_id: Callable[[], str | None],
        on_open: Callable[[Store], Awaitable[None]],
        beside: Callable[[asyncio.Lock], Iterable[Beside | None]],
        load: Callable[[], object],
    ) -> None:
        """`load` reads what is wanted from now on: it may import, in the middle of which no fork may come either."""
        self.tried: Future[None] = Future()
        self.opened: Future[None] = Future()
        self.beside: list[Beside] = []
        self._store = store
        self._key_id = key_id
        self._on_open = on_open
        self._make_beside = beside
        self._load = load
        self._reading = False
        self._steady = asyncio.Lock()  # while connections come and go, no fork

    @property
    def is_open(self) -> bool:
        """Whether the store is open for writing."""
        return self.opened.done() and self.opened.exception() is None

    async def open(self) -> None:
        """Open the store for writing; raises what it does."""
        async with self._steady:
            try:
                await self._open()
            except BaseException as error:
                await self._close_store()
                if isinstance(error, UNUSABLE):
                    for future in (self.opened, self.tried):
                        if not future.done():
                            future.set_exception(error)
                raise
            if self.opened.done():
                self.opened = Future()
            self.opened.set_result(None)
            self.note_tried()
            await asyncio.to_thread(self._load)

    async def _open(self) -> None:
        if self._reading:
            self._reading = False
            await self._store.close()
        await self._store.open()
        if (key_id := self._key_id()) is not None:
            await self._store.bind_key(key_id)
        await self._on_open(self._store)
        self.beside = [one for one in self._make_beside(self._steady) if one is not None]

    def note_tried(self) -> None:
        """Whoever waits for it goes on, though the store may be away: entries wait in the journal."""
        if not self.tried.done():
            self.tried.set_result(None)

    async def open_for_reading(self) -> None:
        """Open the store without changing anything, unless it is open already."""
        if not self._reading and not self.is_open:
            async with self._steady:
                await self._store.open(read_only=True)
                self._reading = True

    async def stand_aside(self, gone: Event, over: Event) -> None:
        """Have the store let go of what a child must not inherit (see `Store.stand_aside`)."""
        async with self._steady:
            await self._store.stand_aside(gone, over)

    async def close(self) -> None:
        """End what goes on beside, and close the store."""
        for one in self.beside:
            await one.close()
        if self.is_open or self._reading:
            await self._close_store()

    async def _close_store(self) -> None:
        try:
            await self._store.close()
        except Exception as error:  # whatever the driver says, the thread goes on or ends
            report("auditmw.store_not_closed", error=str(error))
