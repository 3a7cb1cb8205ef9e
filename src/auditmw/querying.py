"""Streams a query's entries from the writer's loop to whatever loop asks, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
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


class Wanted(TypedDict, total=False):
    """Which entries a query gives: all conditions that are given, and not None, hold."""

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


def checked_filter(**wanted: Unpack[Wanted]) -> Filter:
    """The filter of a query.

    Raises:
        ConfigurationError: a condition that there is not, a naive datetime, a since after the until, an unknown kind or
            status, or a limit that is none.
    """
    if unknown := wanted.keys() - Wanted.__annotations__:
        known = ", ".join(Wanted.__annotations__)
        raise ConfigurationError(f"a query knows no {', '.join(sorted(unknown))}: it takes {known}")
    one_of("status", wanted.get("status"), STATUSES)
    one_of("kind", wanted.get("kind"), KINDS)
    at_least("limit", wanted.get("limit"), 0)
    conditions: dict[str, Any] = {**wanted}
    since, until = conditions.pop("since", None), conditions.pop("until", None)
    since_us, until_us = None if since is None else to_us(since), None if until is None else to_us(until)
    if since_us is not None and until_us is not None and since_us > until_us:
        raise ConfigurationError(f"since ({since}) is after until ({until}): exchange them")
    return Filter(**conditions, since_us=since_us, until_us=until_us)


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
