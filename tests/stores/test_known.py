"""What a recovery asks of a store: how far it has a writer, and which entries are stored."""

import threading

import pytest

from auditmw.errors import SequenceGap


async def test_the_last_number_of_a_writer_is_known_and_0_before_its_first(store, make_batch):
    assert await store.last_seq("w1") == 0
    await store.append(make_batch("w1", 1, 3))
    await store.append(make_batch("w2", 1, 1))
    assert await store.last_seq("w1") == 3
    assert await store.last_seq("w2") == 1
    assert await store.last_seq("w3") == 0
    with pytest.raises(SequenceGap):
        await store.append(make_batch("w1", 5, 1))
    assert await store.last_seq("w1") == 3


async def test_which_entries_are_stored_is_known_by_their_ids_control_entries_included(store, make_batch):
    assert await store.stored(["r1"]) == set()
    await store.append(make_batch("w1", 1, 3))
    await store.append(make_batch("w2", 1, 1, kind="control", request_id="c1"))
    assert await store.stored(["r1", "r3", "c1", "r9", "'; --"]) == {"r1", "r3", "c1"}
    assert await store.stored([]) == set()


async def test_a_reopened_store_still_knows(make_store, make_batch):
    store = make_store()
    await store.open()
    await store.append(make_batch("w1", 1, 3))
    await store.close()
    await store.open()
    assert await store.last_seq("w1") == 3
    assert await store.stored(["r2"]) == {"r2"}
    await store.close()


async def test_a_store_that_stood_aside_for_a_fork_goes_on(store, make_batch, read):
    await store.append(make_batch("w1", 1, 3))
    gone, over = threading.Event(), threading.Event()
    threading.Thread(target=lambda: (gone.wait(10), over.set())).start()
    await store.stand_aside(gone, over)
    assert gone.is_set()
    await store.append(make_batch("w1", 4, 3))
    assert len(await read(store)) == 6


async def test_a_store_that_is_not_open_has_nothing_to_let_go_of(make_store):
    gone = threading.Event()
    await make_store().stand_aside(gone, threading.Event())
    assert gone.is_set()
