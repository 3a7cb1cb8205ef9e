"""Runs the async second halves of a dropped call on their loop, from the writer's thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from auditmw.errors import PipelineError
from auditmw.halves import Run


def finish_on_loop(run: Run, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Wait up to so many seconds for a running loop to run them; what it has not begun by then is left on the run."""
    if not loop.is_running() or _is_here(loop):
        return
    done: Future[None] = Future()
    tasks: list[asyncio.Task[None]] = []

    def start() -> None:
        if done.set_running_or_notify_cancel():
            tasks.append(loop.create_task(run.second_halves_async()))
            tasks[0].add_done_callback(lambda _: done.set_result(None))

    try:
        loop.call_soon_threadsafe(start)
        done.result(seconds)
    except Exception:  # the loop went away, or does not answer
        if not done.cancel() and loop.is_running():
            loop.call_soon_threadsafe(tasks[0].cancel)
            run.count("its loop", PipelineError("an async second half of a dropped stream did not end in time"))


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
