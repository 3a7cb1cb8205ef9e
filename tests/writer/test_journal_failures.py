"""A journal that cannot be written obeys `on_failure`; what is called is told, counted, and mends itself."""

import asyncio
import shutil
from pathlib import Path

import pytest

from auditmw.errors import AuditUnavailable, JournalError
from auditmw.journal import orphans
from auditmw.sealing import decode

from .conftest import eventually, fill, python, record


def in_the_way(directory: Path) -> None:
    """Put a file where the journal's directory should be: it cannot be made, not even by root."""
    directory.parent.mkdir(exist_ok=True)
    directory.write_text("")


def sealed_in(directory: Path) -> list[str]:
    """The ids of the calls in the journal of a dead process, whose numbers have no gap."""
    [orphan] = orphans(directory)
    with orphan:
        found = list(orphan.sealed())
    assert [record.seq for record in found] == list(range(1, len(found) + 1))
    return [entry.request_id for entry in (decode(record.payload) for record in found) if entry.kind != "control"]


def test_with_continue_a_full_disk_costs_crash_safety_and_no_entry(make_trail, store, small_disk):
    trail = make_trail(journal_dir=small_disk / "journal")
    store.on = False
    record(trail, "before")
    filler = fill(small_disk)
    during = [record(trail, "during", metadata={"x": "x" * 500}) for _ in range(20)]
    health = trail.health()
    assert health.journal_failures >= 20
    assert "No space left" in health.journal_error
    assert not health.ok
    filler.unlink()
    record(trail, "after")
    assert trail.health().journal_error is None
    store.on = True
    trail.sync.flush(10)
    entries = asyncio.run(store.entries(kind="llm"))
    assert [entry.action for entry in entries] == ["before", *["during"] * len(during), "after"]
    trail.close()


def test_what_could_not_be_journalled_is_as_soon_as_there_is_room(make_trail, store, small_disk, crashed):
    trail = make_trail(journal_dir=small_disk / "journal")
    store.on = False
    made = [record(trail, "before")]
    filler = fill(small_disk)
    made += [record(trail, "during", metadata={"x": "x" * 500}) for _ in range(120)]
    assert trail.health().journal_error is not None
    filler.unlink()
    eventually(lambda: trail.health().journal_error is None)
    made.append(record(trail, "after"))
    assert sealed_in(crashed(small_disk / "journal")) == made
    store.on = True
    trail.sync.flush(10)
    assert [entry.request_id for entry in asyncio.run(store.entries(kind="llm"))] == made


def test_a_call_that_finds_room_again_has_those_before_it_journalled_first(make_trail, store, small_disk, crashed):
    trail = make_trail(journal_dir=small_disk / "journal")
    store.on = False
    made = [record(trail, "before")]
    filler = fill(small_disk)
    made += [record(trail, "during", metadata={"x": "x" * 500}) for _ in range(10)]
    filler.unlink()
    made.append(record(trail, "after"))
    assert sealed_in(crashed(small_disk / "journal")) == made


def test_closing_on_a_full_disk_says_how_many_entries_are_lost(make_trail, store, small_disk, capsys):
    trail = make_trail(journal_dir=small_disk / "journal")
    store.on = False
    record(trail, "before")
    fill(small_disk)
    for _ in range(20):
        record(trail, "during", metadata={"x": "x" * 500})
    lost = trail.sink.in_memory_alone
    trail.close(0.1)
    assert lost >= 15
    said = capsys.readouterr().err
    assert "level='error' event='auditmw.not_all_stored'" in said
    assert f"{lost + 1} of them could not be journalled either and are lost" in said  # with the one that says the end


def test_what_the_store_has_meanwhile_is_journalled_no_more(make_trail, store, small_disk):
    trail = make_trail(journal_dir=small_disk / "journal")
    record(trail, "before")
    filler = fill(small_disk)
    for _ in range(5):
        record(trail, "during", metadata={"x": "x" * 500})
    trail.sync.flush(10)
    assert trail.sink.in_memory_alone == 0
    filler.unlink()
    record(trail, "after")
    assert trail.health().journal_error is None


def test_with_refuse_a_full_disk_refuses_calls_before_they_are_sent(make_trail, store, small_disk):
    trail = make_trail(journal_dir=small_disk / "journal", on_failure="refuse")
    record(trail, "before")
    store.on = False
    filler = fill(small_disk)
    sent = []

    def call_on():
        while True:
            with trail.call(action="refused", metadata={"x": "x" * 500}):
                sent.append(1)

    with pytest.raises(AuditUnavailable, match="nothing was sent"):
        call_on()
    filler.unlink()
    record(trail, "after")
    store.on = True
    trail.sync.flush(10)
    entries = asyncio.run(store.entries(kind="llm"))
    assert [entry.action for entry in entries if entry.status != "blocked"] == [
        "before",
        *["refused"] * len(sent),
        "after",
    ]
    assert [entry.action for entry in entries if entry.status == "blocked"] == ["refused"]
    trail.close()


LIMITED = """
import resource, sys
from auditmw import AuditTrail
from auditmw.errors import AuditUnavailable
trail = AuditTrail(sys.argv[1], journal_dir=sys.argv[2], on_failure="refuse")
trail.start()
trail.sync.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
try:
    while True:
        with trail.call(action="a", metadata={"x": "x" * 100}):
            pass
except AuditUnavailable as error:
    print(type(error.__cause__).__name__, error.__cause__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with trail.call(action="after"):
    pass
trail.close()
print([entry.action for entry in AuditTrail(sys.argv[1], journal_dir=sys.argv[2]).sync.query(action="after")])
"""


def test_a_file_size_limit_is_a_full_disk_too(tmp_path, directory):
    done = python(LIMITED, f"sqlite:///{tmp_path}/audit.db", directory)
    assert done.returncode == 0, done.stderr
    refused, after = done.stdout.splitlines()
    assert "File too large" in refused
    assert after == "['after']"


def test_a_directory_that_cannot_be_made_is_told_when_the_trail_is_entered(make_trail, directory):
    in_the_way(directory)
    with pytest.raises(JournalError, match="write access"):
        make_trail().start()


def test_with_continue_calls_go_on_without_a_directory_and_it_is_used_once_it_is_there(
    make_trail, store, directory, crashed, monkeypatch
):
    monkeypatch.setattr("auditmw.journalling.REOPEN_SECONDS", 0.01)
    in_the_way(directory)
    trail = make_trail()
    record(trail, "without")
    trail.sync.flush(10)
    assert trail.health().journal_failures > 0
    directory.unlink()
    store.on = False

    def journalled():
        record(trail, "with")
        return trail.health().journal_bytes

    eventually(journalled)
    [orphan] = orphans(crashed(directory))
    assert list(orphan.sealed())
    orphan.release()
    store.on = True
    trail.sync.flush(10)
    assert trail.health().lost == 0
    assert {entry.action for entry in asyncio.run(store.entries(kind="llm"))} == {"with", "without"}


def test_with_refuse_nothing_is_sent_without_a_directory(make_trail, directory):
    in_the_way(directory)
    trail = make_trail(on_failure="refuse")
    with pytest.raises(AuditUnavailable), trail.call(action="a"):
        pytest.fail("it was sent")


UNWRITABLE = """
import ctypes, os, struct, sys
from auditmw import AuditTrail
from auditmw.errors import AuditUnavailable
if os.geteuid() == 0:  # then permissions do not count, unless the capability to pass over them is given up
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    assert ctypes.CDLL(None).capset(header, none) == 0
trail = AuditTrail("memory://", journal_dir=sys.argv[1], on_failure=sys.argv[2])
try:
    with trail.call(action="a"):
        print("sent")
except AuditUnavailable as error:
    print("refused:", error.__cause__)
trail.sync.flush(10)
print(len(list(trail.sync.query(action="a"))), trail.health().journal_failures > 0)
"""


@pytest.mark.parametrize(("on_failure", "says"), [("continue", "sent"), ("refuse", "refused: there is no journal")])
def test_a_directory_without_write_permission_obeys_on_failure(tmp_path, on_failure, says):
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o500)
    done = python(UNWRITABLE, directory, on_failure)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(says), done.stderr
    assert done.stdout.endswith("1 True\n")


def test_a_directory_that_was_removed_is_made_again_and_nothing_in_memory_is_lost(
    make_trail, store, directory, crashed
):
    trail = make_trail()
    record(trail, "one")
    trail.sync.flush(10)
    store.on = False
    record(trail, "two")
    open_call = trail.call(action="open")
    open_call.__enter__()
    shutil.rmtree(directory)
    eventually(lambda: list(directory.glob("*.journal")))
    record(trail, "three")
    [orphan] = orphans(crashed(directory))
    assert len(orphan.open_intents) == 1
    assert len(list(orphan.sealed())) == 1
    orphan.release()
    open_call.__exit__(None, None, None)
    store.on = True
    trail.sync.flush(10)
    entries = [entry.action for entry in asyncio.run(store.entries()) if entry.kind != "control"]
    assert entries == ["one", "two", "three", "open"]
    assert trail.health().lost == 0
    trail.close()
    assert list(directory.iterdir()) == []


def test_a_directory_that_cannot_be_made_again_obeys_on_failure(make_trail, store, directory):
    trail = make_trail(on_failure="refuse")
    record(trail, "one")
    trail.sync.flush(10)
    store.on = False
    record(trail, "two")
    shutil.rmtree(directory)
    in_the_way(directory)
    eventually(lambda: trail.health().journal_error)
    with pytest.raises(AuditUnavailable), trail.call(action="refused"):
        pytest.fail("it was sent")
    directory.unlink()
    eventually(lambda: list(directory.glob("*.journal")) if directory.is_dir() else None)
    record(trail, "three")
    assert trail.health().journal_error is None
    store.on = True
    trail.sync.flush(10)
    assert {entry.action for entry in asyncio.run(store.entries(kind="llm"))} == {"one", "two", "refused", "three"}


def test_what_was_only_in_a_removed_journal_is_lost_and_on_record(make_trail, store, directory, monkeypatch):
    monkeypatch.setattr("auditmw.backlog.MEMORY_ENTRIES", 5)
    trail = make_trail()
    record(trail, "one")
    trail.sync.flush(10)
    store.on = False
    for _ in range(300):
        record(trail, "many")
    shutil.rmtree(directory)
    store.on = True
    trail.sync.flush(10)
    lost = trail.health().lost
    assert lost > 0
    entries = asyncio.run(store.entries())
    assert sum(entry.action == "lost" for entry in entries) == lost
    assert sum(entry.action == "many" for entry in entries) == 300 - lost
    assert asyncio.run(store.seqs(trail.sink.writer)) == list(range(1, len(entries) + 1))


def test_a_failed_fsync_obeys_on_failure(make_trail, monkeypatch):
    def failing(_):
        raise OSError(5, "Input/output error")

    trail = make_trail(durability="disk", on_failure="refuse")
    record(trail)
    with monkeypatch.context() as patch:
        patch.setattr("auditmw.journal.chain.sync_file", failing)
        with pytest.raises(AuditUnavailable), trail.call(action="refused"):
            pytest.fail("it was sent")
        assert "Input/output error" in trail.health().journal_error
    record(trail, "after")


def test_a_journal_that_cannot_be_read_back_stays_for_the_next_start(make_trail, store, directory, monkeypatch):
    monkeypatch.setattr("auditmw.backlog.MEMORY_ENTRIES", 5)

    def unreadable(*_, **__):
        raise OSError(5, "Input/output error", "a file")

    trail = make_trail()
    store.on = False
    for _ in range(300):
        record(trail)
    with monkeypatch.context() as patch:
        patch.setattr("auditmw.journal.file.sealed_records", unreadable)
        store.on = True
        eventually(lambda: "cannot be read back" in (trail.health().journal_error or ""))
    trail.sync.flush(10)
    assert len(asyncio.run(store.entries(kind="llm"))) == 300
    assert trail.health().lost == 0
