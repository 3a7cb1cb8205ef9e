"""Waits for what another thread does, under whatever loop is running."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import anyio


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
