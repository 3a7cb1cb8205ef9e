"""Streams a query's entries from the writer's loop to whatever loop asks, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

import anyio

from auditmw.entry import AuditEntry
from auditmw.errors import TrailClosed
from auditmw.futures import wait_for
from auditmw.stores.protocol import Filter, Store

T = TypeVar("T")
PAGE: Final = 500


class Loop(Protocol):
    """The writer's loop, where the store lives."""

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there."""

    async def open_for_reading(self) -> None:
        """Open the store, if it is not."""


class Pages:
    """The entries of one query, for whatever asks."""

    def __init__(self, loop: Loop, store: Store, wanted: Filter) -> None:
        self._loop = loop
        self._store = store
        self._wanted = wanted

    async def awaited(self) -> AsyncIterator[AuditEntry]:
        """Stream them under any loop."""
        await self._on_loop(self._loop.open_for_reading())
        entries = self._store.query(self._wanted)
        try:
            while page := await self._on_loop(next_page(entries)):
                for entry in page:
                    yield entry
        finally:
            with anyio.CancelScope(shield=True), suppress(TrailClosed):
                await self._on_loop(_close(entries))

    def blocking(self) -> Iterator[AuditEntry]:
        """Stream them without a loop."""
        self._loop.submit(self._loop.open_for_reading()).result()
        entries = self._store.query(self._wanted)
        try:
            while page := self._loop.submit(next_page(entries)).result():
                yield from page
        finally:
            with suppress(TrailClosed):  # the store is closed too
                self._loop.submit(_close(entries))  # waits for nothing: it may run in a finalizer, on that very loop

    async def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        future = self._loop.submit(work)
        await wait_for(future)
        return future.result()


async def next_page(entries: AsyncIterator[AuditEntry]) -> list[AuditEntry]:
    """Up to a page more of a query."""
    page: list[AuditEntry] = []
    async for entry in entries:
        page.append(entry)
        if len(page) == PAGE:
            break
    return page


async def _close(entries: Any) -> None:
    await entries.aclose()
