"""Follows a trail: entries as they are stored, by asking again and again for what lies beyond the last leaf seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio

from auditmw.entry import AuditEntry

Query = Callable[..., Any]
"""A trail's `query`: an async generator of entries."""


async def follow(
    query: Query,
    every: float,
    backlog: int,
    wanted: dict[str, Any],
    begin: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[AuditEntry]:
    """The last `backlog` entries that fit, then each one that fits when it is stored; asks every so many seconds.

    `begin` is awaited first.
    """
    if begin is not None:
        await begin()
    seen = await _newest(query, wanted)
    if backlog:
        last = [entry async for entry in query(**wanted, before=seen + 1, newest_first=True, limit=backlog)]
        for entry in reversed(last):
            yield entry
    while True:
        await anyio.sleep(every)
        newest = await _newest(query, wanted)
        if newest > seen:
            async with aclosing(query(**wanted, after=seen, before=newest + 1)) as entries:
                async for entry in entries:
                    yield entry
            seen = newest


async def _newest(query: Query, wanted: dict[str, Any]) -> int:
    """The leaf index of the newest entry of the wanted kind; -1 where there is none."""
    newest = [entry async for entry in query(kind=wanted.get("kind"), newest_first=True, limit=1)]
    return -1 if not newest or newest[0].leaf_index is None else newest[0].leaf_index
