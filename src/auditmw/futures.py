"""Work in other threads: waited for under whatever loop is running, and begun even while the interpreter is ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")
PAGE: Final = 500


class Threads(ThreadPoolExecutor):
    """An executor that gives each piece of work a thread of its own.

    The library's pool takes nothing more once the interpreter is ending. What is stored then still needs its names
    resolved and its checkpoints signed.
    """

    def submit(self, function: Callable[..., T], /, *args: Any, **options: Any) -> Future[T]:
        """Begin the work."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                result = function(*args, **options)
            except BaseException as error:  # whatever it is belongs to who waits
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=run, name="auditmw-work", daemon=True).start()
        return future


async def in_a_thread(items: AsyncGenerator[T, None], work: Callable[[Iterable[T]], R]) -> R:
    """What plain code makes of items that the running loop gives, some at a time: neither holds the other up."""
    loop, given_up = asyncio.get_running_loop(), False

    async def next_page() -> list[T]:
        page: list[T] = []
        if given_up:
            await items.aclose()
        async for item in items:
            page.append(item)
            if len(page) == PAGE:
                break
        return page

    def pages() -> Iterator[T]:
        while page := asyncio.run_coroutine_threadsafe(next_page(), loop).result():
            yield from page

    try:
        result = await asyncio.to_thread(lambda: work(pages()))
    except asyncio.CancelledError:  # the thread goes on until it asks for more
        given_up = True
        raise
    except BaseException:
        await items.aclose()
        raise
    await items.aclose()
    return result


async def wait_for(future: Future[Any]) -> None:
    """Await a thread's future under asyncio or trio, without raising its error."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        await _wait_under_trio(future)
        return
    done = loop.create_future()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and who waited is gone
            loop.call_soon_threadsafe(_resolve, done)

    future.add_done_callback(tell)
    await done


async def _wait_under_trio(future: Future[Any]) -> None:
    """Without a thread, which would be held until the future is done, long after who waited has given up."""
    import trio

    done, token = trio.Event(), trio.lowlevel.current_trio_token()

    def tell(_: Future[Any]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(tell)
    await done.wait()


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
