import asyncio

import pytest

from auditmw import AuditEntry
from auditmw.health import Health
from auditmw.rolling import IDLE_SECONDS, LONGEST_SECONDS, RETRY_SECONDS, Rolling, roll
from auditmw.stores.protocol import Batch
from auditmw.stores.sqlite import SqliteStore
from auditmw.testing import FakeClock


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def store(tmp_path):
    store = SqliteStore(str(tmp_path / "audit.db"))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def add(store):
    """Stores so many calls, as the writer does."""
    health = Health()

    async def add(count):
        first = health.written + 1
        entries = [AuditEntry(f"r{seq}", seq, model="m") for seq in range(first, first + count)]
        health.written += await store.append(Batch("w", first, entries))

    add.health = health
    return add


async def watermark(store):
    async with store.rollups.view() as view:
        return (await view.extent()).watermark


async def settled(rolling):
    if rolling._task is not None:
        await rolling._task


async def test_what_others_left_is_rolled_first(store, add, clock):
    await add(3)
    rolling = Rolling(store.rollups, add.health, clock)
    await rolling.step()
    await settled(rolling)
    assert await watermark(store) == 3


async def test_entries_are_rolled_when_none_came_for_a_while(store, add, clock):
    rolling = Rolling(store.rollups, add.health, clock)
    await rolling.step()
    await settled(rolling)
    await add(2)
    assert await rolling.step() == pytest.approx(IDLE_SECONDS)
    assert await watermark(store) == 0
    clock.advance(IDLE_SECONDS)
    await rolling.step()
    await settled(rolling)
    assert await watermark(store) == 2


async def test_entries_that_never_stop_coming_are_rolled_too(store, add, clock):
    rolling = Rolling(store.rollups, add.health, clock)
    await rolling.step()
    await settled(rolling)
    for _ in range(int(LONGEST_SECONDS / IDLE_SECONDS) * 2 + 1):
        await add(1)
        await rolling.step()
        clock.advance(IDLE_SECONDS / 2)
    await settled(rolling)
    assert await watermark(store) > 0


async def test_the_rest_is_rolled_at_the_end(store, add, clock):
    rolling = Rolling(store.rollups, add.health, clock)
    await rolling.step()
    await add(2)
    await rolling.close()
    assert await watermark(store) == 2


async def test_a_store_that_cannot_be_rolled_is_left_in_peace_for_a_while(store, add, clock, capsys):
    async with store._transaction() as db:
        await db.execute("ALTER TABLE audit_rollup RENAME TO elsewhere")
    rolling = Rolling(store.rollups, add.health, clock)
    await rolling.step()
    await settled(rolling)
    await add(1)
    assert await rolling.step() == pytest.approx(RETRY_SECONDS)
    assert "not_rolled" in capsys.readouterr().err


async def test_two_that_roll_at_once_count_nothing_twice(store, add):
    await add(20)
    await asyncio.gather(*(roll(store.rollups) for _ in range(4)))
    async with store.rollups.view() as view:
        (cell,) = await view.days(("model",), ("calls",), "", "9", None)
    assert cell.calls == 20
