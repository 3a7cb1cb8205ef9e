"""Large bodies are worked on in threads; a cancellation meanwhile loses nothing, whichever runtime cancels."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.middleware import Writer, default_pipeline
from auditmw.testing import Answer

from .conftest import plain_async_client

LARGE = "word " * 20_000
ASK: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 100_000}


def asking(text: str) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": text}]}


class Slow:
    """A plain middleware that runs in a thread for large bodies; one half lasts until it is let go."""

    offloads = True

    def __init__(self, half: str) -> None:
        self.half = half
        self.reached = threading.Event()
        self.release = threading.Event()
        self.threads: list[threading.Thread] = []

    def around(self, call):
        self.wait("first")
        yield
        self.wait("second")
        call.metadata["ended"] = True

    def wait(self, half: str) -> None:
        if half == self.half:
            self.threads.append(threading.current_thread())
            self.reached.set()
            self.release.wait(5)


async def entries_of(trail: AuditTrail) -> list[Any]:
    await trail.flush(10)
    return [entry async for entry in trail.query()]


@pytest.mark.parametrize("half", ["first", "second"])
async def test_a_large_body_is_worked_on_in_a_thread(half, provider):
    slow = Slow(half)
    slow.release.set()
    provider.script(Answer(LARGE))
    async with (
        AuditTrail("memory://", pipeline=[Writer(), slow]) as trail,
        plain_async_client(provider, timeout=60) as plain,
    ):
        await trail.wrap(plain).messages.create(**asking(LARGE))
        [entry] = await entries_of(trail)
    assert slow.threads != [threading.current_thread()]
    assert (entry.status, entry.metadata, entry.audit_errors) == ("success", {"ended": True}, 0)


@pytest.mark.parametrize("native", [False, True], ids=["scope", "task"])
@pytest.mark.parametrize("half", ["first", "second"])
async def test_a_cancellation_while_a_thread_works_waits_for_it_and_loses_nothing(
    half, native, provider, anyio_backend_name
):
    slow = Slow(half)
    provider.script(Answer(LARGE))
    pipeline = [*default_pipeline(), slow]
    async with AuditTrail("memory://", pipeline=pipeline) as trail, plain_async_client(provider, timeout=60) as plain:
        client = trail.wrap(plain)

        async def use() -> None:
            await client.messages.create(**asking(LARGE))

        async def cancel(action: Any) -> None:
            await anyio.to_thread.run_sync(slow.reached.wait, 5)
            action()
            threading.Timer(0.1, slow.release.set).start()

        if native and anyio_backend_name == "asyncio":
            task = asyncio.create_task(use())
            await cancel(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(cancel, group.cancel_scope.cancel)
                await use()
        [entry] = await entries_of(trail)
        assert trail.health().in_flight == 0
    # a cancellation that comes when the answer is there changes nothing of how the call ended
    assert entry.status == ("cancelled" if half == "first" else "success")
    assert (entry.metadata, entry.audit_errors) == ({"ended": True}, 0)


async def test_a_large_listing_of_batch_results_is_recorded_without_stopping_the_loop(provider, trail, monkeypatch):
    threads = set()
    monkeypatch.setattr("auditmw.clients.batches._record", lambda *_: threads.add(threading.current_thread()))
    provider.answer = Answer(LARGE)
    async with plain_async_client(provider, timeout=60) as plain:
        client = trail.wrap(plain)
        requests: Any = [{"custom_id": "a", "params": asking("hello")}]
        batch = await client.messages.batches.create(requests=requests)
        async for _ in await client.messages.batches.results(batch.id):
            pass
    assert len(threads) == 1
    assert threads != {threading.current_thread()}
