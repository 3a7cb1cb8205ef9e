"""Leaves that are made ahead: used for their own batch and their own second, and kept until it is that batch's turn."""

import asyncio

import pytest

from auditmw.stores import ahead as ahead_module
from auditmw.stores.ahead import LeavesAhead
from auditmw.stores.columns import make_leaves
from auditmw.stores.sqlite import SqliteStore

SECOND_US = 1_000_000
NOON_US = 1_795_176_000 * SECOND_US


@pytest.fixture
def made(monkeypatch):
    """How many leaves were made from here on."""
    count = [0]

    def counted(*arguments):
        leaves = make_leaves(*arguments)
        count[0] += len(leaves)
        return leaves

    monkeypatch.setattr(ahead_module, "make_leaves", counted)
    return count


@pytest.fixture
def ahead():
    ahead = LeavesAhead()
    ahead.stored_at_us = NOON_US
    return ahead


async def test_what_was_made_ahead_is_not_made_again_in_the_same_second(ahead, made, make_batch):
    batch = make_batch(count=60)
    await ahead.make(batch)
    ready = ahead.take(batch)
    assert len(ready.leaves(0, NOON_US)) == 60
    assert len(ready.leaves(20, NOON_US)) == 40
    assert made == [60]


async def test_in_another_second_all_of_it_is_made_again(ahead, made, make_batch):
    batch = make_batch(count=60)
    await ahead.make(batch)
    leaves = ahead.take(batch).leaves(20, NOON_US + SECOND_US)
    assert len(leaves) == 40
    assert made == [100]


async def test_what_was_made_ahead_stays_while_the_batch_before_it_is_tried_again(ahead, made, make_batch):
    first, second = make_batch(count=30), make_batch(first_seq=31, count=30)
    await ahead.make(second)
    for _ in range(3):
        ahead.take(first)
    assert len(ahead.take(second).leaves(0, NOON_US)) == 30
    assert made == [30]


async def test_a_batch_whose_turn_comes_while_it_is_being_made_has_the_rest_made_then(ahead, made, make_batch):
    batch = make_batch(count=100)
    making = asyncio.create_task(ahead.make(batch))
    await asyncio.sleep(0)
    ready = ahead.take(batch)
    await making
    assert made == [ahead_module.AT_ONCE]
    assert [leaf.row[0] for leaf in ready.leaves(0, NOON_US)] == [entry.request_id for entry in batch.entries]
    assert made == [100]


@pytest.fixture
async def sqlite(tmp_path, clock):
    store = SqliteStore(str(tmp_path / "audit.db"), clock)
    await store.open()
    yield store
    await store.close()


async def test_a_sqlite_batch_that_waits_for_its_turn_keeps_what_was_made_of_it(sqlite, made, make_batch):
    await sqlite.append(make_batch(count=1))
    first, second = make_batch(first_seq=2, count=30), make_batch(first_seq=32, count=30)
    await sqlite.prepare(first)
    async with sqlite._to_write():
        appending = asyncio.create_task(sqlite.append(first))
        await asyncio.sleep(0)
        await sqlite.prepare(second)
    assert await appending == await sqlite.append(second) == 30
    assert made == [1 + 30 + 30]
