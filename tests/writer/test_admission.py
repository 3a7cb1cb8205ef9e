"""Room for one entry is reserved before a call is sent; without room, `on_full` decides."""

import asyncio
import threading
import time

import anyio
import pytest

from auditmw.journal import orphans

from .conftest import eventually, record

ROOM_FOR_FEW = 64 * 1024


def fill_up(trail, store):
    """Record until the journal is at its bound; gives how many were admitted."""
    store.on = False
    made = []
    while trail.health().dropped == 0:
        made.append(record(trail, metadata={"filler": "x" * 1000}))
    return len(made) - 1


def test_nothing_that_was_admitted_is_dropped_and_every_drop_is_counted_in_the_trail(make_trail, store):
    trail = make_trail(on_full="drop", max_journal_bytes=ROOM_FOR_FEW)
    admitted = fill_up(trail, store)
    for _ in range(4):
        record(trail)
    assert trail.health().dropped == 5
    store.on = True
    trail.sync.flush(10)
    trail.close()
    entries = asyncio.run(store.entries())
    drops = [entry.metadata for entry in entries if entry.action == "drop"]
    assert sum(drop["count"] for drop in drops) == 5
    assert all(drop["first_us"] <= drop["last_us"] for drop in drops)
    assert sum(entry.kind == "llm" for entry in entries) == admitted
    assert asyncio.run(store.seqs(trail.sink.writer)) == list(range(1, len(entries) + 1))


def test_a_call_waits_for_room_before_it_is_sent(make_trail, store):
    trail = make_trail(max_journal_bytes=ROOM_FOR_FEW, block_timeout=0.01)
    fill_up(trail, store)
    trail.sink._admission.block_timeout = 30
    waited = []

    def call():
        started = time.monotonic()
        with trail.call(action="late"):
            waited.append(time.monotonic() - started)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert not waited
    store.on = True
    thread.join(10)
    assert waited[0] > 0.15
    trail.sync.flush(10)
    assert [entry.action for entry in asyncio.run(store.entries(action="late"))] == ["late"]


async def test_a_task_waits_for_room_without_blocking_its_loop(make_trail, store):
    trail = make_trail(max_journal_bytes=ROOM_FOR_FEW, block_timeout=0.01)
    fill_up(trail, store)
    trail.sink._admission.block_timeout = 30

    async def call():
        async with trail.call(action="late"):
            pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        for _ in range(20):
            await anyio.sleep(0.01)
        assert trail.health().in_flight == 0
        store.on = True
    await trail.flush(10)
    assert [entry.action for entry in await store.entries(action="late")] == ["late"]


@pytest.mark.parametrize("form", ["sync", "async"])
def test_after_block_timeout_the_call_goes_on_and_its_entry_is_dropped(make_trail, store, form):
    trail = make_trail(max_journal_bytes=ROOM_FOR_FEW, block_timeout=0.05)
    fill_up(trail, store)
    before = trail.health().dropped

    async def call():
        async with trail.call(action="dropped"):
            return "answer"

    started = time.monotonic()
    if form == "sync":
        record(trail, "dropped")
    else:
        assert asyncio.run(call()) == "answer"
    assert 0.05 <= time.monotonic() - started < 5
    assert trail.health().dropped == before + 1


def test_without_a_journal_memory_is_bounded_and_on_full_decides(make_trail, store, monkeypatch):
    monkeypatch.setattr("auditmw.admission.UNJOURNALLED_ENTRIES", 20)
    trail = make_trail(durability="memory", on_full="drop")
    store.on = False
    for _ in range(300):
        record(trail)
    assert trail.health().dropped >= 300 - 20 - 200  # the writer holds a batch of 200 at most
    store.on = True
    trail.sync.flush(10)
    health = trail.health()
    drops = sum(entry.metadata["count"] for entry in asyncio.run(store.entries(action="drop", kind="control")))
    assert drops == health.dropped
    assert sum(entry.kind == "llm" for entry in asyncio.run(store.entries())) == 300 - health.dropped


def test_a_call_in_flight_holds_its_room_until_it_has_ended(make_trail, store):
    trail = make_trail(on_full="drop", max_journal_bytes=ROOM_FOR_FEW)
    store.on = False
    calls = [trail.call(action="long") for _ in range(40)]
    for call in calls:
        call.__enter__()
    admitted = trail.health().in_flight
    assert 0 < admitted < 40
    for call in reversed(calls):
        call.__exit__(None, None, None)
    assert trail.health().in_flight == 0
    assert trail.health().dropped == 40 - admitted


def test_the_journal_goes_beyond_its_bound_only_by_what_was_admitted(make_trail, store, directory, crashed):
    trail = make_trail(on_full="drop", max_journal_bytes=ROOM_FOR_FEW)
    admitted = fill_up(trail, store)
    eventually(lambda: not trail.sink._drops)
    assert trail.health().journal_bytes < ROOM_FOR_FEW + 4096
    [orphan] = orphans(crashed(directory))
    assert len(list(orphan.sealed())) == admitted + 2  # and "open" and "drop"
    orphan.release()
