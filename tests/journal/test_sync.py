import asyncio
import threading

import pytest

from auditmw.errors import JournalError
from auditmw.journal import Journal, orphans
from auditmw.journal import chain as chain_module
from auditmw.journal.segment import segments_of
from auditmw.journal.sync import GroupSync


def rid(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def durable(directory):
    journal = Journal(directory, disk=True, segment_bytes=1000)
    yield journal
    journal.close()


def test_waiting_for_a_position_returns_when_it_is_on_the_disk(durable):
    position = durable.append_intent(rid(1), b"")
    assert durable.synced(position).result(timeout=10) is None


def test_a_task_can_wait_for_it(durable):
    async def main():
        await asyncio.wrap_future(durable.synced(durable.append_sealed(1, rid(1), b"")))

    asyncio.run(main())


def test_what_is_already_on_the_disk_is_not_synced_again(durable, monkeypatch):
    position = durable.append_intent(rid(1), b"")
    durable.synced(position).result(timeout=10)
    monkeypatch.setattr(chain_module, "sync_file", lambda fd: pytest.fail("synced twice"))
    assert durable.synced(position).done()


def test_every_segment_that_holds_unsynced_records_is_synced(durable, monkeypatch):
    synced = []
    real = chain_module.sync_file
    monkeypatch.setattr(chain_module, "sync_file", lambda fd: (synced.append(fd), real(fd)))
    for seq in range(1, 7):
        position = durable.append_sealed(seq, rid(seq), bytes(400))
    durable.synced(position).result(timeout=10)
    assert len(synced) == 3


def test_many_waiters_share_one_flush():
    started, go_on = threading.Semaphore(0), threading.Semaphore(0)
    position = 0
    flushes = []

    def flush() -> int:
        reached = position
        started.release()
        go_on.acquire()
        flushes.append(reached)
        return reached

    sync = GroupSync(flush)
    position = 1
    first = sync.upto(1)
    started.acquire()
    position = 50
    group = {id(future): future for future in [sync.upto(number) for number in range(2, 51)]}
    assert len(group) == 1
    go_on.release(2)
    [second] = group.values()
    first.result(timeout=10)
    second.result(timeout=10)
    sync.close()
    assert flushes == [1, 50]


def test_a_cancelled_waiter_does_not_take_the_others_along():
    go_on = threading.Event()

    def flush() -> int:
        go_on.wait()
        return 1

    async def main():
        shared = sync.upto(1)
        impatient = asyncio.ensure_future(asyncio.wrap_future(shared))
        patient = asyncio.ensure_future(asyncio.wrap_future(shared))
        await asyncio.sleep(0)
        impatient.cancel()
        go_on.set()
        await patient
        assert impatient.cancelled()

    sync = GroupSync(flush)
    asyncio.run(main())
    sync.close()


def test_a_failed_fsync_reaches_the_waiters_and_the_next_record_goes_into_a_new_file(durable, directory, monkeypatch):
    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    position = durable.append_intent(rid(1), b"intent")
    with monkeypatch.context() as patch:
        patch.setattr(chain_module, "sync_file", fail)
        with pytest.raises(JournalError, match="Input/output error"):
            durable.synced(position).result(timeout=10)
    position = durable.append_sealed(1, rid(2), b"entry")
    assert len(segments_of(directory, durable.writer_id)) == 2
    durable.synced(position).result(timeout=10)


def test_acknowledged_files_are_removed_after_their_successor_is_on_the_disk(durable, directory):
    durable.append_intent(rid(99), b"in flight")
    for seq in range(1, 7):
        durable.append_sealed(seq, rid(seq), bytes(400))
    durable.acknowledge(6)
    assert len(segments_of(directory, durable.writer_id)) == 1
    durable.close()
    [orphan] = orphans(directory)
    assert [record.payload for record in orphan.open_intents] == [b"in flight"]
    orphan.release()


def test_a_journal_opened_without_the_disk_says_what_to_do(journal):
    with pytest.raises(JournalError, match="disk=True"):
        journal.synced(1)
