"""The rounds of the writer's work: when it sleeps, and what wakes it."""

import asyncio
from functools import partial
from math import inf

import anyio
import pytest

from auditmw.clock import SystemClock
from auditmw.flushes import Flushes
from auditmw.health import Health
from auditmw.writing import Writing

from .conftest import record


@pytest.fixture
def anyio_backend():
    """The writer's loop is asyncio's."""
    return "asyncio"


class Idle:
    """An intake in which nothing waits; `meanwhile` happens when that has just been asked."""

    awaited = True

    def __init__(self):
        self.health = Health()
        self.take = lambda _, **__: None
        self.meanwhile = lambda: None

    @property
    def waiting(self):
        self.meanwhile()
        return 0


async def test_an_entry_that_comes_while_the_writer_goes_to_sleep_wakes_it():
    intake = Idle()
    make = partial(Writing, journal_dir=None, finish_dropped=None, external=False, clock=SystemClock())
    writing = make(intake, None, None, None, Flushes())

    def add():
        if writing.asleep:  # as whoever adds an entry asks
            writing.news.set()

    intake.meanwhile = add
    with anyio.fail_after(10):
        await writing._sleep(inf)


def test_what_has_piled_up_is_stored_in_large_batches_and_what_comes_one_by_one_in_small_ones(
    make_trail, store, monkeypatch
):
    monkeypatch.setattr("auditmw.writing.BATCH_ENTRIES", 5)
    monkeypatch.setattr("auditmw.writing.LARGE_BATCH_ENTRIES", 40)
    monkeypatch.setattr("auditmw.writing.BEHIND_ENTRIES", 60)
    sizes: list[int] = []
    append = store.append

    async def counted(batch):
        stored = await append(batch)
        sizes.append(len(batch.entries))
        return stored

    monkeypatch.setattr(store, "append", counted)
    trail = make_trail()
    record(trail)
    trail.sync.flush(10)
    store.on = False
    for _ in range(200):
        record(trail)
    store.on = True
    trail.sync.flush(10)
    assert max(sizes) == 40
    assert sum(sizes) == 202  # and the entry of its start
    assert sizes[-1] <= 5
    assert asyncio.run(store.seqs(trail.sink.writer)) == list(range(1, 203))
