"""`writer="external"`: the application appends to its journal and nothing more; a shipper does the rest."""

import asyncio
import os
import threading

import pytest

from auditmw import AuditTrail
from auditmw.errors import AuditUnavailable, JournalError
from auditmw.health import Health
from auditmw.journal import orphans, survey
from auditmw.shipping import Shipper
from auditmw.stores import store_for

from .conftest import eventually, fill, record


@pytest.fixture
def application(make_trail):
    return make_trail(writer="external")


def ship(store, directory, **options):
    shipper = Shipper(store, directory)
    asyncio.run(shipper.run(**{"once": True, **options}))
    return shipper.health


def test_nothing_is_held_in_memory_and_what_is_shipped_is_known(application, store, directory):
    for _ in range(50):
        record(application)
    assert len(application.sink._backlog.held) == 0
    assert application.health().queue_entries == 51
    assert ship(store, directory).written == 51
    application.sync.flush(10)
    assert application.health().queue_entries == 0
    assert asyncio.run(store.seqs(application.sink.writer)) == list(range(1, 52))


def test_entering_and_leaving_waits_for_no_shipper(make_trail, directory):
    with make_trail(writer="external") as trail:
        record(trail)
    [left] = survey(directory)
    assert left.unsent == 3
    assert not left.alive


def test_an_entry_that_cannot_be_journalled_is_dropped_and_on_record(make_trail, store, small_disk):
    application = make_trail(writer="external", journal_dir=small_disk / "journal")
    record(application, "before")
    filler = fill(small_disk)
    for _ in range(5):
        record(application, metadata={"x": "x" * 5000})
    assert application.health().dropped == 5
    filler.unlink()
    eventually(lambda: record(application, "after") and not application.sink._drops)
    ship(store, small_disk / "journal")
    entries = asyncio.run(store.entries())
    assert sum(e.metadata["count"] for e in entries if e.action == "drop") == 5
    assert asyncio.run(store.seqs(application.sink.writer)) == list(range(1, len(entries) + 1))
    application.close()


def test_a_number_that_the_journal_lacks_is_lost_in_its_place_and_no_other_comes_twice(application, store, directory):
    record(application, "before")
    journal = application.sink._journalling.journal
    append = journal.append_sealed

    def refuse_once(*_):
        journal.append_sealed = append
        raise JournalError("the disk is full")

    journal.append_sealed = refuse_once
    record(application, "not journalled")
    eventually(lambda: application.sink.last_seq == 4)
    after = record(application, "after")
    ship(store, directory)
    stored = {entry.seq: entry.action for entry in asyncio.run(store.entries())}
    assert stored == {1: "open", 2: "before", 3: "lost", 4: "drop", 5: "after"}
    application.sync.flush(10)
    journal.close()  # as the end of the process does
    ship(store, directory)
    assert len(asyncio.run(store.entries(request_id=after))) == 1


def test_with_refuse_nothing_is_sent_that_the_journal_cannot_take(make_trail, small_disk):
    application = make_trail(writer="external", journal_dir=small_disk / "journal", on_failure="refuse")
    record(application)
    fill(small_disk)

    def call_on():
        while True:
            record(application, metadata={"x": "x" * 500})

    with pytest.raises(AuditUnavailable):
        call_on()
    application.close()


def test_a_shipper_waits_for_its_store_and_goes_on(application, store, directory):
    record(application)
    store.on = False
    opened, refused = store.open, []

    async def refuse(*, read_only=False):
        refused.append(read_only)
        if len(refused) < 3:
            await store_for("postgresql://nobody@127.0.0.1:1/nowhere").open()
        await opened()

    store.open = refuse
    shipper = Shipper(store, directory)
    thread = threading.Thread(target=lambda: asyncio.run(shipper.run()))
    thread.start()
    eventually(lambda: shipper.health.retried > 2)
    store.on = True
    eventually(lambda: shipper.health.written == 2)
    shipper.stop()
    thread.join(10)
    assert len(refused) == 3


def test_a_shipper_that_is_stopped_during_an_outage_leaves_everything(application, store, directory):
    record(application)
    store.on = False
    shipper = Shipper(store, directory)
    thread = threading.Thread(target=lambda: asyncio.run(shipper.run()))
    thread.start()
    eventually(lambda: shipper.health.retried > 1)
    shipper.stop()
    thread.join(10)
    assert not thread.is_alive()
    store.on = True
    assert ship(store, directory).written == 2


def test_a_shipper_tells_its_progress_and_recovers_the_dead(application, store, directory):
    record(application)
    open_call = application.call(action="open")
    open_call.__enter__()
    told = []
    application.sink._journalling.journal.close()  # as the end of the process does
    ship(store, directory, on_progress=lambda health: told.append(health.written))
    assert told[-1] == 4
    assert {e.status for e in asyncio.run(store.entries(action="open", kind="llm"))} == {"interrupted"}
    assert list(orphans(directory)) == []
    open_call.__exit__(None, None, None)


def test_a_defect_in_sealing_never_reaches_the_caller_and_is_a_counted_loss(make_trail, store):
    trail = make_trail(durability="store")

    def defect(_):
        raise RuntimeError("a defect")

    trail.sink.permit = defect
    record(trail)
    assert trail.health().dropped == 1
    assert trail.health().in_flight == 0
    trail.sync.flush(10)
    assert [e.metadata["count"] for e in asyncio.run(store.entries(action="drop", kind="control"))] == [1]


def test_one_trail_that_cannot_be_closed_at_the_exit_does_not_keep_the_others_from_it(monkeypatch, capsys):
    from auditmw import exits

    closed = []

    class Broken:
        def close(self, timeout):
            raise RuntimeError("a defect")

    class Sound:
        def close(self, timeout):
            closed.append(timeout)

    class Ended:
        @staticmethod
        def join():
            pass

    trails = [Broken(), Sound(), Sound()]
    monkeypatch.setattr(exits, "_watched", trails)
    monkeypatch.setattr(exits.threading, "main_thread", Ended)
    exits._close_at_exit()
    assert closed == [exits.EXIT_SECONDS] * 2
    assert "auditmw.not_closed" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from 3.12 on
def test_a_fork_that_cannot_wait_for_the_store_goes_on_and_says_so(make_trail, store, monkeypatch, capsys):
    monkeypatch.setattr("auditmw.writer.FORK_SECONDS", 0.05)

    async def busy(gone, over):
        await asyncio.sleep(3600)

    trail = make_trail()
    record(trail)
    trail.sync.flush(10)
    store.stand_aside = busy
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert "auditmw.fork_unsafe" in capsys.readouterr().err


def test_health_of_a_shipper_is_well_when_nothing_is_wrong(application, store, directory):
    record(application)
    assert ship(store, directory).ok
    assert Health().ok


async def test_work_in_a_thread_of_its_own_gives_its_result_or_its_error():
    from auditmw.futures import Threads, wait_for

    threads = Threads()
    sound, broken = threads.submit(divmod, 7, 2), threads.submit(divmod, 7, 0)
    for future in (sound, broken):
        await wait_for(future)
    assert sound.result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        broken.result()


def test_an_external_trail_needs_a_journal():
    with pytest.raises(Exception, match="journal_dir"):
        AuditTrail("memory://", writer="external")
