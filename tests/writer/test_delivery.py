"""The way into the store: tried again until it is open, with what is refused set aside and holes on record."""

import asyncio
import time

import msgspec
import pytest

from auditmw.clock import SystemClock
from auditmw.delivery import Delivery
from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError, SchemaMismatch, StoreError
from auditmw.health import Health
from auditmw.prices import PriceBook
from auditmw.stores.protocol import Batch

from .conftest import eventually, record


@pytest.fixture
def delivery(store, directory):
    directory.mkdir()
    return Delivery(
        store, PriceBook(), Health(), clock=SystemClock(), journal_dir=directory, give_up=lambda: False, pause=no_pause
    )


async def no_pause(_):
    pass


def batch(first=1, count=5, writer="w"):
    return Batch(
        writer, first, [AuditEntry(f"{writer}{n}", n, writer=writer, seq=n) for n in range(first, first + count)]
    )


def poison(*request_ids):
    return lambda entry: entry.request_id in request_ids and entry.kind != "control"


# --- poison ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusal",
    [None, lambda _: StoreError("a constraint of the database"), lambda _: TypeError("a defect of the driver")],
    ids=["named by the store", "refused as a batch", "an error that no store should raise"],
)
async def test_a_refused_entry_is_set_aside_under_its_number_and_the_rest_is_stored(
    store, delivery, directory, refusal
):
    store.refuses = poison("w2", "w5")
    if refusal is not None:
        store.refusal = refusal
    assert await delivery.deliver(batch())
    entries = sorted(await store.entries(), key=lambda e: e.seq)
    assert [(e.seq, e.request_id, e.action) for e in entries] == [
        (1, "w1", None),
        (2, "w2", "set_aside"),
        (3, "w3", None),
        (4, "w4", None),
        (5, "w5", "set_aside"),
    ]
    kept = directory / "set_aside.jsonl"
    assert entries[1].metadata["kept_in"] == str(kept)
    assert entries[1].metadata["error"]
    assert [msgspec.json.decode(line)["entry"][0] for line in kept.read_bytes().splitlines()] == ["w2", "w5"]
    assert kept.stat().st_mode & 0o077 == 0
    assert delivery._health.set_aside == 2


async def test_without_a_place_to_set_aside_the_entry_is_named_on_record(store, delivery):
    delivery._journal_dir = None
    store.refuses = poison("w1")
    assert await delivery.deliver(batch(count=1))
    [entry] = await store.entries()
    assert (entry.action, entry.metadata.get("kept_in")) == ("set_aside", None)


async def test_a_place_that_cannot_be_written_does_not_stop_the_rest(store, delivery, directory):
    (directory / "set_aside.jsonl").mkdir()
    store.refuses = poison("w1")
    assert await delivery.deliver(batch())
    assert len(await store.entries()) == 5


async def test_a_store_that_refuses_the_note_too_is_waited_for(store, delivery):
    store.refuses = lambda entry: entry.request_id == "w1"
    waits = []

    async def mend(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            store.refuses = lambda _: False

    delivery._pause = mend
    assert await delivery.deliver(batch())
    assert len(waits) == 3
    assert delivery._health.set_aside == 1
    assert len(await store.entries()) == 5


# --- holes -----------------------------------------------------------------------------------------------------------


async def test_a_hole_in_the_sequence_is_filled_with_entries_that_say_so(store, delivery):
    await delivery.deliver(batch(1, 2))
    await delivery.deliver(batch(6, 2))
    entries = sorted(await store.entries(), key=lambda e: e.seq)
    assert [(e.seq, e.action) for e in entries] == [
        *((n, None) for n in (1, 2)),
        *((n, "lost") for n in (3, 4, 5)),
        (6, None),
        (7, None),
    ]
    assert delivery._health.lost == 3


async def test_a_hole_however_large_stops_nothing(store, delivery):
    await delivery.deliver(batch(2500, 1))
    assert await store.last_seq("w") == 2500
    assert delivery._health.lost == 2499


# --- a store that does not answer ------------------------------------------------------------------------------------


async def test_the_same_batch_is_tried_again_ever_more_slowly_until_it_is_in(store, delivery):
    store.on = False
    waits = []

    async def note(seconds):
        waits.append(seconds)
        store.on = len(waits) == 12

    delivery._pause = note
    assert await delivery.deliver(batch())
    assert len(waits) == store.tries - 1 == delivery._health.retried == 12
    assert 0.025 <= waits[0] <= 0.05
    assert all(0.25 <= wait <= 0.5 for wait in waits[5:])
    assert len(set(waits)) == len(waits)  # jitter
    assert delivery._health.last_store_error is None
    assert delivery._retry_seconds == 0.05


@pytest.mark.parametrize("error", [ConfigurationError("a wrong password"), SchemaMismatch()])
async def test_what_an_operator_can_put_right_sets_nothing_aside(store, delivery, error):
    store.refuses, store.refusal = lambda _: True, lambda _: error

    async def mend(_):
        store.refuses = lambda _: False

    delivery._pause = mend
    assert await delivery.deliver(batch())
    assert delivery._health.set_aside == 0
    assert [e.request_id for e in await store.entries()] == [f"w{n}" for n in range(1, 6)]


async def test_who_gives_up_has_lost_nothing(store, delivery):
    store.on = False
    delivery._give_up = lambda: True
    assert not await delivery.deliver(batch())
    store.on = True
    assert await delivery.deliver(batch())
    assert len(await store.entries()) == 5


def test_calls_are_not_held_up_and_are_stored_in_order_when_the_store_is_back(make_trail, store):
    trail = make_trail()
    store.on = False
    slowest = 0.0
    for _ in range(300):
        started = time.monotonic()
        record(trail)
        slowest = max(slowest, time.monotonic() - started)
    eventually(lambda: trail.health().last_store_error)
    assert slowest < 0.25
    assert trail.health().queue_entries == 301
    assert trail.health().oldest_unsent_s > 0
    store.on = True
    trail.sync.flush(10)
    assert asyncio.run(store.seqs(trail.sink.writer)) == list(range(1, 302))
    health = trail.health()
    assert (health.queue_entries, health.queue_bytes, health.oldest_unsent_s, health.last_store_error) == (
        0,
        0,
        None,
        None,
    )


def test_it_goes_on_at_once_when_the_store_is_back(make_trail, store):
    trail = make_trail()
    store.on = False
    record(trail)
    eventually(lambda: store.tries > 6)  # by now it waits as long as it ever does
    store.on = True
    started = time.monotonic()
    eventually(lambda: trail.health().queue_entries == 0)
    assert time.monotonic() - started < 0.8


def test_a_flush_has_the_store_tried_at_once(make_trail, store, monkeypatch):
    monkeypatch.setattr("auditmw.delivery.LAST_RETRY_SECONDS", 30.0)
    monkeypatch.setattr("auditmw.delivery.FIRST_RETRY_SECONDS", 30.0)
    trail = make_trail()
    store.on = False
    record(trail)
    eventually(lambda: trail.health().last_store_error)
    store.on = True
    started = time.monotonic()
    trail.sync.flush(10)
    assert time.monotonic() - started < 5


def test_a_flush_outlasts_an_outage(make_trail, store):
    trail = make_trail()
    store.on = False
    record(trail)
    flushed = trail.flushed()
    eventually(lambda: trail.health().retried > 3)
    assert not flushed.done()
    store.on = True
    flushed.result(10)
    assert trail.health().queue_entries == 0


async def test_a_flush_that_takes_too_long_says_so_and_loses_nothing(make_trail, store):
    trail = make_trail()
    store.on = False
    record(trail)
    with pytest.raises(TimeoutError):
        await trail.flush(0.05)
    store.on = True
    await trail.flush(10)
    assert trail.health().queue_entries == 0


def test_more_than_fits_in_memory_waits_in_the_journal_and_comes_in_order(make_trail, store, monkeypatch):
    monkeypatch.setattr("auditmw.backlog.MEMORY_ENTRIES", 50)
    trail = make_trail()
    store.on = False
    made = [record(trail) for _ in range(1500)]
    assert len(trail.sink._backlog.held) <= 50
    assert trail.health().queue_entries == 1501
    store.on = True
    trail.sync.flush(20)
    assert [e.request_id for e in asyncio.run(store.entries(kind="llm"))] == made
    assert asyncio.run(store.seqs(trail.sink.writer)) == list(range(1, 1502))


def test_streams_dropped_and_calls_dropped_during_an_outage_are_seen_to(make_trail, store):
    trail = make_trail()
    store.on = False
    record(trail)
    eventually(lambda: trail.health().retried > 1)
    call = trail.recorder().draft(action="dropped", kind="llm")
    trail.recorder().begin(call)
    trail.recorder().drop(call)
    eventually(lambda: trail.health().in_flight == 0)
    assert call.status == "abandoned"


def test_a_defect_in_one_round_does_not_end_the_writer(make_trail, store, monkeypatch):
    trail = make_trail()
    record(trail)
    trail.sync.flush(10)

    def defect():
        monkeypatch.undo()
        raise RuntimeError("a defect")

    monkeypatch.setattr(trail.sink, "tend", defect)
    record(trail, "after")
    trail.sync.flush(10)
    assert [e.action for e in asyncio.run(store.entries(action="after"))] == ["after"]
