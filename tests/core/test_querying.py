"""Reading a trail: from any loop or none, a page at a time, broken off, and while it is open elsewhere."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import aclosing, closing

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.querying import PAGE

from .conftest import entries_of

MANY = PAGE + 20


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('trail')}/audit.db"
    with AuditTrail(url) as trail:
        for number in range(MANY):
            with trail.call(action=str(number)):
                pass
    return url


async def test_an_async_query_streams_all_pages_in_order(url):
    async with AuditTrail(url) as trail:
        assert [entry.action async for entry in trail.query()] == [str(number) for number in range(MANY)]


def test_a_blocking_query_streams_all_pages_in_order(url):
    with AuditTrail(url) as trail:
        assert [entry.action for entry in trail.sync.query()] == [str(number) for number in range(MANY)]


async def test_a_trail_that_was_never_started_can_be_read_and_writes_nothing(url):
    notes = []
    for _ in range(2):
        trail = AuditTrail(url)
        assert len([entry async for entry in trail.query(limit=3)]) == 3
        notes.append([entry.request_id async for entry in trail.query(kind="control")])
        await trail.aclose()
    assert notes[0] == notes[1]


async def test_a_query_may_be_broken_off(url):
    async with AuditTrail(url) as trail:
        async with aclosing(trail.query()) as entries:
            async for _ in entries:
                break
        async for entry in trail.query(limit=1):
            assert entry.action == "0"


def test_a_blocking_query_may_be_broken_off_and_dropped_anywhere(url):
    with AuditTrail(url) as trail:
        with closing(trail.sync.query()) as entries:
            next(entries)
        dropped = trail.sync.query()
        next(dropped)
        del dropped
        gc.collect()
        assert len(list(trail.sync.query(limit=1))) == 1


def test_a_blocking_query_dropped_on_the_writers_own_thread_does_not_stop_it(url):
    with AuditTrail(url) as trail:
        held = [trail.sync.query()]
        next(held[0])

        async def drop():
            held.clear()
            gc.collect()

        trail._writer.submit(drop()).result(5)
        assert len(entries_of(trail, limit=1)) == 1


def test_many_threads_may_ask_at_once(url):
    with AuditTrail(url) as trail:
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.append(len(list(trail.sync.query(limit=50))))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [50] * 4


async def test_flush_waits_no_longer_than_it_is_told(tmp_path):
    async with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail:
        async with trail.call(action="x"):
            pass
        await trail.flush(10)
        assert [e.action async for e in trail.query()] == ["x"]
        with pytest.raises(TimeoutError):
            await flush_while_blocked(trail)


async def flush_while_blocked(trail):
    release = threading.Event()

    async def block():
        release.wait(5)

    blocked = trail._writer.submit(block())
    try:
        await trail.flush(0.05)
    finally:
        release.set()
        await anyio.to_thread.run_sync(blocked.result)


async def test_a_query_that_is_given_up_while_a_page_is_fetched_ends_at_once(monkeypatch):
    ended = []

    async def never(_wanted):
        try:
            await asyncio.sleep(60)
            yield
        finally:
            ended.append(True)

    async with AuditTrail("memory://") as trail:
        monkeypatch.setattr(trail._store, "query", never)
        with anyio.move_on_after(0.05) as scope:
            async for _ in trail.query():
                raise AssertionError
        assert scope.cancelled_caught
        assert ended == [True]
