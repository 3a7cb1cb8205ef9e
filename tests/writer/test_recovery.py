"""What a dead process left is stored once, whatever the file lacks and however often the recovery begins."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.clock import SystemClock
from auditmw.delivery import Delivery
from auditmw.entry import AuditEntry
from auditmw.errors import JournalError
from auditmw.health import Health
from auditmw.journal import Journal
from auditmw.prices import PriceBook
from auditmw.sealing import encode, id_bytes
from auditmw.stores.protocol import Batch

WRITER = bytes(range(16))


def rid(number):
    return f"00000000-0000-7000-8000-{number:012d}"


def made(number, status="success"):
    return AuditEntry(rid(number), number, action=f"call {number}", logged_at_us=number, status=status)


def delivery(store, directory):
    async def no_pause(_):
        pass

    return Delivery(
        store, PriceBook(), Health(), clock=SystemClock(), journal_dir=directory, give_up=lambda: False, pause=no_pause
    )


class Dead:
    """A process that made calls and died: what it journalled, and what the store has of it."""

    def __init__(self, store, directory):
        self.store = store
        self.journal = Journal(directory, writer_id=WRITER)
        self.seq = 0

    def begin(self, number):
        self.journal.append_intent(id_bytes(rid(number)), encode(made(number, "interrupted")))

    def end(self, number):
        self.seq += 1
        self.journal.append_sealed(self.seq, id_bytes(rid(number)), encode(made(number)))

    async def ship(self, number, seq):
        entry = made(number)
        await self.store.append(Batch(WRITER.hex(), seq, [entry]))

    def die(self, keep_bytes=None):
        self.journal.close()
        if keep_bytes is not None:
            [path] = self.journal.directory.glob("*.journal")
            with path.open("r+b") as file:
                file.truncate(keep_bytes)

    @property
    def size(self):
        [path] = self.journal.directory.glob("*.journal")
        return path.stat().st_size


async def told(store):
    """Action and status of all entries, by number."""
    entries = sorted(await store.entries(), key=lambda e: e.seq)
    assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
    assert len({e.request_id for e in entries}) == len(entries)
    return [(e.action, e.status) if e.kind != "control" else e.action for e in entries]


@pytest.fixture
def dead(store, directory):
    return Dead(store, directory)


async def test_sealed_entries_come_first_then_open_calls_as_interrupted_then_the_note(dead, store, directory):
    for number in (1, 2, 3):
        dead.begin(number)
    dead.end(2)
    dead.die()
    recovering = delivery(store, directory)
    assert await recovering.recover()
    assert await told(store) == [
        ("call 2", "success"),
        ("call 1", "interrupted"),
        ("call 3", "interrupted"),
        "recover",
    ]
    [note] = await store.entries(action="recover", kind="control")
    assert note.request_id == str(UUID(bytes=WRITER))
    assert (note.metadata["sealed"], note.metadata["interrupted"], note.metadata["lost"]) == (1, 2, 0)
    assert (recovering._health.recovered, recovering._health.interrupted) == (1, 2)
    assert list(directory.iterdir()) == []


async def test_a_recovery_that_was_killed_before_it_removed_the_files_lands_once(dead, store, directory, crashed):
    dead.begin(1)
    dead.begin(2)
    dead.end(1)
    dead.die()
    again = crashed(directory)
    assert await delivery(store, directory).recover()
    before = await store.entries()
    assert await delivery(store, again).recover()
    assert await store.entries() == before
    assert list(again.iterdir()) == []


async def test_numbers_that_the_store_has_and_the_journal_lost_are_not_given_twice(dead, store, directory):
    dead.begin(1)
    dead.end(1)
    dead.begin(2)
    dead.begin(3)
    synced = dead.size
    dead.end(2)  # stored over there, but power went before it was on this disk
    await dead.ship(1, 1)
    await dead.ship(2, 2)
    dead.die(keep_bytes=synced)
    assert await delivery(store, directory).recover()
    assert await told(store) == [("call 1", "success"), ("call 2", "success"), ("call 3", "interrupted"), "recover"]


async def test_a_hole_in_the_journal_is_lost_unless_the_store_has_it(dead, store, directory):
    places = []
    for number in range(1, 7):
        dead.begin(number)
        places.append(dead.size)
        dead.end(number)
    [path] = directory.glob("*.journal")
    content = bytearray(path.read_bytes())
    for place in (1, 3):
        content[places[place] + 20] ^= 0xFF
    dead.die()
    path.write_bytes(content)
    await dead.ship(1, 1)
    await dead.ship(2, 2)
    recovering = delivery(store, directory)
    assert await recovering.recover()
    assert await told(store) == [
        ("call 1", "success"),
        ("call 2", "success"),
        ("call 3", "success"),
        "lost",
        ("call 5", "success"),
        ("call 6", "success"),
        ("call 4", "interrupted"),
        "recover",
    ]
    assert recovering._health.lost == 1


async def test_a_torn_tail_is_on_record(dead, store, directory):
    dead.begin(1)
    size = dead.size
    dead.end(1)
    dead.die(keep_bytes=size + 9)
    assert await delivery(store, directory).recover()
    assert await told(store) == [("call 1", "interrupted"), "recover"]
    [note] = await store.entries(action="recover", kind="control")
    assert [torn["bytes"] for torn in note.metadata["torn"]] == [9]


async def test_a_journal_that_cannot_be_recovered_does_not_keep_the_others_from_it(dead, store, directory, monkeypatch):
    dead.end(1)
    dead.die()
    other = Journal(directory, writer_id=bytes(16))
    other.append_sealed(1, id_bytes(rid(9)), b"no entry")
    other.close()
    recovering = delivery(store, directory)
    assert await recovering.recover()
    assert await told(store) == [("call 1", "success"), "recover"]
    assert recovering._health.journal_failures == 1
    assert {path.name[:32] for path in directory.iterdir()} == {bytes(16).hex()}

    def unreadable(*_):
        raise JournalError("these journals cannot be recovered: one")

    monkeypatch.setattr("auditmw.delivery.orphans", unreadable)
    assert await recovering.recover()
    assert recovering._health.journal_failures == 2


async def test_a_store_that_is_away_is_waited_for(dead, store, directory):
    dead.end(1)
    dead.die()
    recovering = delivery(store, directory)
    asked = store.stored
    tries = []

    async def away(request_ids):
        tries.append(1)
        if len(tries) < 3:
            store.on = False
            await store.append(Batch("x", 1, []))
        store.on = True
        return await asked(request_ids)

    store.stored = away
    assert await recovering.recover()
    assert await told(store) == [("call 1", "success"), "recover"]
    assert len(tries) == 4  # until it answers, and once more to see the note


async def test_a_recovery_that_runs_out_of_time_leaves_the_files(dead, store, directory):
    dead.end(1)
    dead.die()
    store.on = False
    recovering = delivery(store, directory)
    recovering._give_up = lambda: True
    assert not await recovering.recover()
    store.on = True
    assert await delivery(store, directory).recover()
    assert await told(store) == [("call 1", "success"), "recover"]


async def test_many_entries_come_in_batches(dead, store, directory):
    for number in range(1, 2502):
        dead.end(number)
    dead.begin(3000)
    dead.die()
    assert await delivery(store, directory).recover()
    assert len(await told(store)) == 2503


@given(
    begun=st.integers(1, 8),
    order=st.permutations(range(8)),
    ended=st.integers(0, 8),
    stored=st.integers(0, 8),
    cut=st.floats(0, 1),
    refused=st.integers(0, 9),
)
def test_whatever_power_loss_left_every_call_is_told_once_and_every_stored_one_stays(
    begun, order, ended, stored, cut, refused, tmp_path_factory
):
    """The store may be ahead of the cut file or behind it; the first recovery may stop anywhere."""
    import anyio

    from .conftest import SwitchedStore

    async def check():
        directory = tmp_path_factory.mktemp("power") / "journal"
        store = SwitchedStore()
        dead = Dead(store, directory)
        for number in range(1, begun + 1):
            dead.begin(number)
        first = dead.size
        done = [number + 1 for number in order if number < begun][:ended]
        for number in done:
            dead.end(number)
        for seq, number in enumerate(done[:stored], start=1):
            await dead.ship(number, seq)
        dead.die(keep_bytes=first + round(cut * (dead.size - first)))
        interrupted = delivery(store, directory)
        interrupted._give_up = lambda: True
        store.refuses, store.refusal = (lambda entry: entry.seq == refused), lambda _: StopIteration()
        await interrupted.recover()  # what it cannot store makes it stop
        store.refuses = lambda _: False
        assert await delivery(store, directory).recover()
        entries = await store.entries()
        assert await told(store)
        assert {e.request_id for e in entries if e.kind == "llm"} | {
            e.request_id for e in entries if e.action == "set_aside"
        } == {rid(number) for number in range(1, begun + 1)}
        for number in done[:stored]:
            [entry] = [e for e in entries if e.request_id == rid(number)]
            assert entry.status == "success"

    anyio.run(check)
