"""One writer serves every kind of caller: several loops and threads, trio, uvloop, and loops that stand still."""

import asyncio
import threading
import time

import pytest
import trio
import uvloop

from auditmw import AuditTrail

from .conftest import eventually, record


async def call(trail, action):
    async with trail.call(action=action):
        await asyncio.sleep(0)


def actions(store):
    return sorted(entry.action for entry in asyncio.run(store.entries(kind="llm")))


def in_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_several_loops_threads_and_frameworks_share_one_trail(make_trail, store):
    trail = make_trail(durability="disk")

    async def several():
        await asyncio.gather(*(call(trail, "asyncio") for _ in range(20)))

    async def in_trio():
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one_in_trio)

    async def one_in_trio():
        async with trail.call(action="trio"):
            await trio.sleep(0.001)

    def plain():
        for _ in range(20):
            record(trail, "thread")

    in_threads(
        lambda: asyncio.run(several()),
        lambda: asyncio.run(several()),
        lambda: uvloop.run(several()),
        lambda: trio.run(in_trio),
        plain,
        plain,
    )
    trail.sync.flush(10)
    assert actions(store) == ["asyncio"] * 60 + ["thread"] * 40 + ["trio"] * 20
    assert asyncio.run(store.seqs(trail.sink.writer)) == list(range(1, 122))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run, trio.run], ids=["asyncio", "uvloop", "trio"])
def test_a_trail_is_opened_queried_flushed_and_closed_under_any_loop(run, tmp_path):
    async def application():
        async with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail:
            for number in range(3):
                async with trail.call(action=f"a{number}"):
                    pass
            await trail.flush(10)
            return [entry.action async for entry in trail.query()]

    assert (run(application) if run is trio.run else run(application())) == ["a0", "a1", "a2"]


def test_a_trail_used_in_one_loop_can_be_used_and_closed_in_the_next(tmp_path):
    trail = AuditTrail(f"sqlite:///{tmp_path}/audit.db")
    asyncio.run(call(trail, "one"))
    asyncio.run(call(trail, "two"))

    async def end():
        await trail.flush(10)
        found = [entry.action async for entry in trail.query()]
        await trail.aclose()
        return found

    assert asyncio.run(end()) == ["one", "two"]


async def test_entries_are_stored_while_the_applications_loop_stands_still(make_trail, store):
    trail = make_trail()
    async with trail.call(action="a"):
        pass
    eventually(lambda: trail.health().queue_entries == 0)  # never lets go of this loop
    assert [entry.action for entry in await store.entries(kind="llm")] == ["a"]


def test_callers_are_not_held_up_by_a_store_that_stands_still(make_trail, store):
    async def never(_):
        time.sleep(0.05)  # noqa: ASYNC251  (it is to hold up the writer's loop itself)
        return 0

    store.append = never
    trail = make_trail()
    slowest = 0.0
    for _ in range(100):
        started = time.monotonic()
        record(trail)
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 0.5
    del store.append


def test_threads_that_all_begin_at_once_start_one_writer(make_trail, store):
    trail = make_trail()
    gate = threading.Barrier(16)

    def begin():
        gate.wait()
        record(trail)

    in_threads(*[begin] * 16)
    trail.sync.flush(10)
    writers = {entry.writer for entry in asyncio.run(store.entries())}
    assert len(writers) == 1
    assert [entry.action for entry in asyncio.run(store.entries(kind="control"))] == ["open"]
    assert sum(thread.name == "auditmw-writer" for thread in threading.enumerate()) == 1
