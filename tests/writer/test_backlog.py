"""What waits for the store: in memory what fits, the rest read back from the journal, and what is nowhere is lost."""

from threading import Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw import backlog as backlog_module
from auditmw.backlog import Backlog
from auditmw.entry import AuditEntry
from auditmw.errors import JournalError
from auditmw.journal import SEALED, Record
from auditmw.sealing import encode, id_bytes

IDS = [f"00000000-0000-7000-8000-{number:012d}" for number in range(200)]


def entry(seq):
    return AuditEntry(IDS[seq], seq, logged_at_us=seq)


def nothing(_):
    return iter(())


class Journal:
    """Sealed records by number, as the journal gives them back."""

    def __init__(self):
        self.records = {}

    def add(self, seq):
        self.records[seq] = Record(SEALED, seq, id_bytes(IDS[seq]), encode(entry(seq)))

    def read(self, after):
        found = [record for seq, record in sorted(self.records.items()) if seq > after]  # as it is now
        return iter(found)


def add(backlog, *, journal=None, held=True):
    seq = backlog.last_seq = backlog.last_seq + 1
    if journal is not None:
        journal.add(seq)
    if held:
        backlog.add(seq, encode(entry(seq)), seq, journalled=journal is not None)


def taken(backlog, limit, journal):
    batch = backlog.take(limit, journal.read, 7)
    return (
        []
        if batch is None
        else [(seq, e.action or e.request_id) for seq, e in enumerate(batch.entries, batch.first_seq)]
    )


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from(["journalled", "memory only", "interrupted", "nowhere"])),
            st.tuples(st.just("take"), st.integers(1, 9)),
            st.tuples(st.just("store"), st.none()),
        ),
        max_size=60,
    ),
    most=st.integers(0, 6),
)
def test_every_number_comes_once_and_in_order_as_its_entry_or_as_lost(steps, most):
    backlog, journal, lost, got = Backlog("w", Lock()), Journal(), set(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog_module, "MEMORY_ENTRIES", most)
        for step, what in [*steps, ("take", 100), ("take", 100), ("take", 100)] + [("take", 100)] * len(steps):
            if step == "add":
                if what == "nowhere":
                    lost.add(backlog.last_seq + 1)
                journalled = journal if what in {"journalled", "interrupted"} else None
                add(backlog, journal=journalled, held=what in {"journalled", "memory only"})
            elif step == "take":
                batch = taken(backlog, what, journal)
                assert len(batch) <= what
                got += batch
            elif got:
                backlog.acknowledge(got[-1][0])
            assert (backlog.bytes > 0) == (len(backlog.held) > 0)
    assert got == [(seq, "lost" if seq in lost else IDS[seq]) for seq in range(1, backlog.last_seq + 1)]
    assert backlog.lost == len(lost)


@given(count=st.integers(1, 60), most=st.integers(0, 10))
def test_memory_holds_no_more_than_its_bound_of_what_is_journalled(count, most):
    backlog, journal = Backlog("w", Lock()), Journal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog_module, "MEMORY_ENTRIES", most)
        for _ in range(count):
            add(backlog, journal=journal)
    assert len(backlog.held) == min(count, most)
    assert backlog.waiting == count


def test_a_journal_that_cannot_be_read_takes_nothing_and_is_read_again():
    backlog, journal = Backlog("w", Lock()), Journal()
    for _ in range(3):
        add(backlog, journal=journal, held=False)

    def broken(after):
        yield from list(journal.read(after))[:1]
        raise JournalError

    with pytest.raises(JournalError):
        backlog.take(10, broken, 7)
    assert [seq for seq, _ in taken(backlog, 10, journal)] == [1, 2, 3]
    assert backlog.lost == 0


def test_the_oldest_is_known_while_it_is_on_its_way():
    backlog = Backlog("w", Lock())
    assert backlog.oldest_us is None
    for _ in range(3):
        add(backlog)
    assert backlog.oldest_us == 1
    backlog.take(2, nothing, 7)
    assert backlog.oldest_us == 1
    backlog.acknowledge(2)
    assert backlog.oldest_us == 3
    backlog.take(2, nothing, 7)
    backlog.acknowledge(3)
    assert backlog.oldest_us is None


def test_the_oldest_of_several_batches_under_way_is_that_of_the_first():
    backlog = Backlog("w", Lock())
    for _ in range(4):
        add(backlog)
    backlog.take(2, nothing, 7)
    backlog.take(2, nothing, 7)
    assert backlog.oldest_us == 1
    backlog.acknowledge(2)
    assert backlog.oldest_us == 3


def test_a_whole_batch_is_taken_only_when_so_many_wait():
    backlog = Backlog("w", Lock())
    for _ in range(3):
        add(backlog)
    assert backlog.take(4, nothing, 7, whole=True) is None
    batch = backlog.take(3, nothing, 7, whole=True)
    assert (batch.first_seq, len(batch.entries)) == (1, 3)


def test_who_waits_for_a_number_is_woken_when_it_is_stored_and_not_before():
    backlog = Backlog("w", Lock())
    for _ in range(3):
        add(backlog)
    second, third = backlog.stored_when(2), backlog.stored_when(3)
    backlog.acknowledge(2)
    assert second.done()
    assert not third.done()
    assert backlog.stored_when(1).done()
    backlog.acknowledge(3)
    assert third.done()
