"""One batch after the other into the store, the next one made ready meanwhile."""

import asyncio

import pytest

from auditmw.conveyor import Conveyor
from auditmw.entry import AuditEntry
from auditmw.errors import JournalError
from auditmw.stores.protocol import Batch


@pytest.fixture
def anyio_backend():
    """The writer's loop is asyncio's."""
    return "asyncio"


def batch(number):
    return Batch("w", number, [AuditEntry(f"r{number}", number)])


class Delivery:
    """Notes what happens in which order; gives up on a batch as often as it is told to."""

    def __init__(self, gives_up=0):
        self.notes = []
        self.gives_up = gives_up

    async def prepare(self, batch):
        self.notes.append(f"prepare {batch.first_seq}")
        return batch

    async def deliver(self, batch):
        self.notes.append(f"deliver {batch.first_seq}")
        await asyncio.sleep(0.001)
        self.notes.append(f"done {batch.first_seq}")
        self.gives_up -= 1
        return self.gives_up < 0


def taking(*numbers):
    waiting = iter(numbers)
    return lambda: None if (number := next(waiting, None)) is None else batch(number)


async def test_the_next_batch_is_made_ready_while_the_one_before_it_is_stored():
    delivery, take = Delivery(), taking(1, 2)
    conveyor = Conveyor(delivery, take, take)
    assert [(await conveyor.move()).first_seq for _ in range(2)] == [1, 2]
    assert await conveyor.move() is None
    assert delivery.notes == ["deliver 1", "prepare 2", "done 1", "deliver 2", "done 2"]


async def test_what_waits_too_little_to_be_made_ready_is_taken_in_its_turn():
    conveyor = Conveyor(Delivery(), taking(1, 2), lambda: None)
    assert [(await conveyor.move()).first_seq for _ in range(2)] == [1, 2]


async def test_a_batch_that_was_given_up_comes_again_before_the_next_one():
    take = taking(1, 2)
    conveyor = Conveyor(Delivery(gives_up=2), take, take)
    moved = [await conveyor.move() for _ in range(4)]
    assert [one and one.first_seq for one in moved] == [None, None, 1, 2]


async def test_an_error_in_taking_the_next_batch_is_raised_in_its_turn_and_loses_nothing():
    def broken():
        raise JournalError("it cannot be read")

    conveyor = Conveyor(Delivery(), taking(1, 2), broken)
    assert (await conveyor.move()).first_seq == 1
    with pytest.raises(JournalError, match="cannot be read"):
        await conveyor.move()
    assert (await conveyor.move()).first_seq == 2


async def test_a_batch_that_cannot_be_made_ready_is_stored_as_it_is(capsys):
    class Broken(Delivery):
        async def prepare(self, batch):
            raise RuntimeError("a defect")

    take = taking(1, 2, 3)
    conveyor = Conveyor(Broken(), take, take)
    assert [(await conveyor.move()).first_seq for _ in range(3)] == [1, 2, 3]
    assert capsys.readouterr().err.count("auditmw.not_made_ready") == 2


async def test_a_delivery_that_fails_has_the_same_batch_again():
    class Failing(Delivery):
        async def deliver(self, batch):
            if await super().deliver(batch):
                return True
            raise RuntimeError("a defect")

    delivery, take = Failing(gives_up=1), taking(1, 2)
    conveyor = Conveyor(delivery, take, take)
    with pytest.raises(RuntimeError, match="a defect"):
        await conveyor.move()
    assert [(await conveyor.move()).first_seq for _ in range(2)] == [1, 2]
    assert delivery.notes.count("prepare 2") == 1


async def test_what_is_being_made_ready_is_given_up_when_the_conveyor_stops():
    ready = asyncio.Event()

    class Slow(Delivery):
        async def prepare(self, batch):
            try:
                await asyncio.sleep(3600)
            finally:
                ready.set()

    take = taking(1, 2)
    conveyor = Conveyor(Slow(), take, take)
    await conveyor.move()
    await conveyor.stop()
    assert ready.is_set()


async def test_stopping_raises_nothing_of_a_batch_that_nobody_takes_any_more():
    def broken():
        raise JournalError("it cannot be read")

    conveyor = Conveyor(Delivery(), taking(1), broken)
    await conveyor.stop()
    await conveyor.move()
    await conveyor.stop()
