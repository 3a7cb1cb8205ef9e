"""Streams a query's entries from the writer's loop to whatever loop asks, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Protocol, TypedDict, TypeVar, Unpack

import anyio

from auditmw.entry import KINDS, STATUSES, AuditEntry, to_us
from auditmw.errors import ConfigurationError, TrailClosed
from auditmw.futures import wait_for
from auditmw.options import at_least, one_of
from auditmw.stores.protocol import Filter, Store

T = TypeVar("T")
PAGE: Final = 500
Told = Callable[[int | None], None]
"""Puts on record that so many entries are read; None where nobody counts them."""
Record = Callable[[Store], Awaitable[Told]]
"""Asked once the store is open."""


def say_nothing(_: int | None) -> None:
    """Of a read that is not put on record."""


class Wanted(TypedDict, total=False):
    """Which entries a query gives: all conditions that are given, and not None, hold.

    `restricted` says what for: it gives only what an erasure wants gone and something keeps, and that is on record.
    """

    request_id: str | None
    user_id: str | None
    subject: str | None
    model: str | None
    status: str | None
    session_id: str | None
    tenant: str | None
    action: str | None
    call_id: str | None
    parent_id: str | None
    kind: str | None
    since: datetime | None
    until: datetime | None
    after: int | None
    before: int | None
    limit: int | None
    newest_first: bool
    restricted: str | None


def about_query(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a record of a read says of a query: by which fields it asked, and about whom.

    The values of other conditions may be about people too, and records of reads stay.
    """
    return {
        "filter": sorted(name for name, value in wanted.items() if value is not None),
        "subject": wanted.get("subject") or wanted.get("user_id"),
        "tenant": wanted.get("tenant"),
    }


def checked_filter(**wanted: Unpack[Wanted]) -> Filter:
    """The filter of a query.

    Raises:
        ConfigurationError: a condition that there is not, a naive datetime, a since after the until, an unknown kind or
            status, a limit that is none, or an empty purpose.
    """
    if unknown := wanted.keys() - Wanted.__annotations__:
        known = ", ".join(Wanted.__annotations__)
        raise ConfigurationError(f"a query knows no {', '.join(sorted(unknown))}: it takes {known}")
    one_of("status", wanted.get("status"), STATUSES)
    one_of("kind", wanted.get("kind"), KINDS)
    at_least("limit", wanted.get("limit"), 0)
    conditions: dict[str, Any] = {**wanted}
    purpose = conditions.pop("restricted", None)
    if purpose is not None and not (isinstance(purpose, str) and purpose):
        raise ConfigurationError("what for? Restricted entries are given for a purpose: restricted='complaint 4711'")
    since, until = conditions.pop("since", None), conditions.pop("until", None)
    since_us, until_us = None if since is None else to_us(since), None if until is None else to_us(until)
    if since_us is not None and until_us is not None and since_us > until_us:
        raise ConfigurationError(f"since ({since}) is after until ({until}): exchange them")
    return Filter(**conditions, since_us=since_us, until_us=until_us, restricted=purpose is not None)


class Loop(Protocol):
    """The writer's loop, where the store lives."""

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there."""

    async def open_for_reading(self) -> None:
        """Open the store, if it is not."""


class Pages:
    """The entries of one query, for whatever asks; what is handed out is on record before, where there is one."""

    def __init__(self, loop: Loop, store: Store, wanted: Filter, record: Record | None = None) -> None:
        self._loop = loop
        self._store = store
        self._wanted = wanted
        self._record = record

    async def awaited(self) -> AsyncIterator[AuditEntry]:
        """Stream them under any loop."""
        told = await self._on_loop(opened(self._loop, self._store, self._record))
        entries = self._store.query(self._wanted)
        try:
            page = await self._next(entries)
            told(len(page))
            while page:
                for entry in page:
                    yield entry
                if page := await self._next(entries):
                    told(len(page))
        finally:
            with anyio.CancelScope(shield=True), suppress(TrailClosed):
                await self._on_loop(_close(entries))

    def blocking(self) -> Iterator[AuditEntry]:
        """Stream them without a loop."""
        told = self._loop.submit(opened(self._loop, self._store, self._record)).result()
        entries = self._store.query(self._wanted)
        try:
            page = self._loop.submit(next_page(entries)).result()
            told(len(page))
            while page:
                yield from page
                if page := self._loop.submit(next_page(entries)).result():
                    told(len(page))
        finally:
            with suppress(TrailClosed):  # the store is closed too
                self._loop.submit(_close(entries))  # waits for nothing: it may run in a finalizer, on that very loop

    async def _next(self, entries: AsyncIterator[AuditEntry]) -> list[AuditEntry]:
        future = self._loop.submit(next_page(entries))
        try:
            await wait_for(future)
        except BaseException:
            future.cancel()  # nobody waits for this page any more
            raise
        return future.result()

    async def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        future = self._loop.submit(work)
        await wait_for(future)
        return future.result()


async def opened(loop: Loop, store: Store, record: Record | None) -> Told:
    """Open the store for a read, and give what puts it on record."""
    await loop.open_for_reading()
    if record is None:
        return say_nothing
    told = await record(store)
    await loop.open_for_reading()  # to record a read, the store is opened again, to write
    return told


async def next_page(entries: AsyncIterator[AuditEntry]) -> list[AuditEntry]:
    """Up to a page more of a query."""
    page: list[AuditEntry] = []
    async for entry in entries:
        page.append(entry)
        if len(page) == PAGE:
            break
    return page


async def _close(entries: Any) -> None:
    while entries.ag_running:  # noqa: ASYNC110  (a page is being given up, which nothing else tells)
        await asyncio.sleep(0.001)
    await entries.aclose()
