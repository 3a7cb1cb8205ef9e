"""The rounds of the writer's work: when it sleeps, and what wakes it."""

from functools import partial
from math import inf

import anyio
import pytest

from auditmw.clock import SystemClock
from auditmw.flushes import Flushes
from auditmw.health import Health
from auditmw.writing import Writing


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
