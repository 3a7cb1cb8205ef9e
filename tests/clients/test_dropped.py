"""Streams that nobody ends: dropped, under a lock, without their loop, or at the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
from typing import Any

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.middleware import Writer
from auditmw.testing import Answer, Hang, StandInProvider

from .conftest import plain_async_client

ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 4000,
    "messages": [{"role": "user", "content": "hello"}],
    "stream": True,
}
HELD = (Answer(deltas=200), Hang(5))


def entries_of(trail: AuditTrail) -> list[Any]:
    trail.sync.flush(10)
    return list(trail.sync.query())


def drop(kept: list[Any]) -> None:
    kept.clear()
    gc.collect()


async def open_stream(client: Any) -> Any:
    stream = await client.messages.create(**ASK)
    body = stream.response.stream  # what is left when all else is dropped
    del stream
    return body


def test_plain_second_halves_of_a_dropped_stream_run_on_the_writers_thread(provider, make_client):
    threads = []

    def where(call):
        yield
        threads.append(threading.current_thread().name)

    provider.script(HELD)
    with AuditTrail("memory://", pipeline=[Writer(), where]) as trail, make_client() as plain:
        stream = trail.wrap(plain).messages.create(**ASK)
        del stream
        gc.collect()
        [entry] = entries_of(trail)
    assert entry.status == "abandoned"
    assert threads == ["auditmw-writer"]


def test_the_latency_of_a_dropped_stream_ends_when_it_was_dropped(provider, make_client):
    ended = []

    def late(call):
        yield
        ended.append(call.ended_ns)

    provider.script(HELD)
    with AuditTrail("memory://", pipeline=[Writer(), late]) as trail, make_client() as plain:
        stream = trail.wrap(plain).messages.create(**ASK)
        del stream
        gc.collect()
        dropped = trail.clock.monotonic_ns()
        entries_of(trail)
    assert ended[0] <= dropped


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_async_second_half_of_a_dropped_stream_runs_on_its_own_loop(provider):
    loops = []

    async def where(call):
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    provider.script(HELD)
    async with AuditTrail("memory://", pipeline=[Writer(), where]) as trail, plain_async_client(provider) as plain:
        body = await open_stream(trail.wrap(plain))
        del body
        gc.collect()
        [entry] = await anyio.to_thread.run_sync(entries_of, trail)
    assert (entry.status, entry.audit_errors) == ("abandoned", 0)
    assert loops == [asyncio.get_running_loop()]


async def waits(call):
    yield
    await anyio.sleep(0.001)


async def waits_not(call):
    yield
    call.metadata["ran"] = True


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_loop_that_does_not_answer_costs_its_half_and_not_the_entry(provider, monkeypatch):
    monkeypatch.setattr("auditmw.recorder.SECOND_HALF_SECONDS", 0.05)
    pipeline = [Writer(), waits, waits_not]
    provider.script(HELD)
    async with AuditTrail("memory://", pipeline=pipeline) as trail, plain_async_client(provider) as plain:
        body = await open_stream(trail.wrap(plain))
        del body
        gc.collect()
        [entry] = entries_of(trail)  # blocks this loop
    assert (entry.status, entry.audit_errors, entry.metadata) == ("abandoned", 1, {"ran": True})


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_half_that_its_loop_began_and_does_not_end_is_left_and_the_entry_sealed(provider, monkeypatch):
    monkeypatch.setattr("auditmw.recorder.SECOND_HALF_SECONDS", 0.05)
    ended = []

    async def stuck(call):
        yield
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    provider.script(HELD)
    pipeline = [Writer(), waits_not, stuck]
    async with AuditTrail("memory://", pipeline=pipeline) as trail, plain_async_client(provider) as plain:
        body = await open_stream(trail.wrap(plain))
        del body
        gc.collect()
        [entry] = await anyio.to_thread.run_sync(entries_of, trail)
        await anyio.wait_all_tasks_blocked()
    assert (entry.status, entry.metadata) == ("abandoned", {"ran": True})
    assert entry.audit_errors in {1, 2}  # the half may count its cancellation before the entry is sealed
    assert ended == [True]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_dropped_when_its_loop_is_gone_is_sealed_and_what_waited_is_counted(backend, provider):
    with AuditTrail("memory://", pipeline=[Writer(), waits, waits_not]) as trail:

        async def main() -> Any:
            plain = plain_async_client(provider)  # not closed: it goes with the loop
            return plain, await open_stream(trail.wrap(plain))

        provider.script(HELD)
        kept = list(anyio.run(main, backend=backend))
        with pytest.warns(ResourceWarning):  # of the connection, whose loop is gone too
            drop(kept)
        [entry] = entries_of(trail)
    assert (entry.status, entry.audit_errors, entry.metadata) == ("abandoned", 1, {"ran": True})


# --- in an interpreter of their own, since they would hang this one ---------------------------------------------------


def run_script(provider: StandInProvider, tmp_path: Any, body: str) -> list[Any]:
    """Run a script that has `client`, `trail`, `ASK`; the entries that it left."""
    script = textwrap.dedent(
        """
        import asyncio, gc, threading
        from auditmw import AuditTrail
        from auditmw.middleware import Writer
        URL, BASE, ASK = {url!r}, {base!r}, {ask!r}
        def sync_client():
            import anthropic
            return anthropic.Anthropic(api_key="test", base_url=BASE)
        def async_client():
            import anthropic
            return anthropic.AsyncAnthropic(api_key="test", base_url=BASE)
        """
    ).format(url=f"sqlite:///{tmp_path}/audit.db", base=provider.url, ask=ASK)
    done = subprocess.run(
        [sys.executable, "-c", script + textwrap.dedent(body)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail:
        return entries_of(trail)


def test_a_stream_dropped_under_a_middlewares_own_lock_is_no_deadlock(provider, tmp_path):
    provider.script(HELD)
    [entry] = run_script(
        provider,
        tmp_path,
        """
        lock = threading.Lock()
        def locking(call):
            yield
            with lock:
                call.metadata["locked"] = True
        trail = AuditTrail(URL, pipeline=[Writer(), locking])
        stream = trail.wrap(sync_client()).messages.create(**ASK)
        with lock:
            del stream
            gc.collect()
        trail.close()
        """,
    )
    assert (entry.status, entry.metadata) == ("abandoned", {"locked": True})


@pytest.mark.parametrize("how", ["sync", "asyncio", "trio", "generator", "async generator", "in a cycle"])
def test_the_end_of_the_interpreter_seals_an_open_stream_and_does_not_hang(how, provider, tmp_path):
    provider.script(HELD)
    body = {
        "sync": """
            stream = AuditTrail(URL).wrap(sync_client()).messages.create(**ASK)
            next(iter(stream))
            """,
        "asyncio": """
            client = AuditTrail(URL).wrap(async_client())
            async def main():
                global stream
                stream = await client.messages.create(**ASK)
            asyncio.run(main())
            """,
        "trio": """
            import trio
            client = AuditTrail(URL).wrap(async_client())
            async def main():
                global stream
                stream = await client.messages.create(**ASK)
            trio.run(main)
            """,
        "generator": """
            @AuditTrail(URL).audited
            def words():
                yield "one"
                yield "two"
            stream = words()
            next(stream)
            """,
        "async generator": """
            @AuditTrail(URL).audited
            async def words():
                yield "one"
                yield "two"
            stream = words()
            async def main():
                await anext(stream)
            asyncio.run(main())
            """,
        "in a cycle": """
            gc.disable()
            class Node: pass
            node = Node()
            node.self = node
            node.stream = AuditTrail(URL).wrap(sync_client()).messages.create(**ASK)
            del node
            """,
    }[how]
    [entry] = run_script(provider, tmp_path, body)
    assert entry.status == ("abandoned" if how == "async generator" else "interrupted")  # asyncio.run closes generators
    assert entry.kind == ("function" if "generator" in how else "llm")
