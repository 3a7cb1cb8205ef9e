import resource
import stat
import threading

import pytest

from auditmw.errors import JournalError
from auditmw.journal import FRAME_BYTES, Follower, Journal, orphans
from auditmw.journal.segment import segments_of


def rid(number: int) -> bytes:
    return number.to_bytes(16, "big")


def only(directory):
    [orphan] = orphans(directory)
    return orphan


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_the_directory_and_its_files_are_for_their_owner_only(tmp_path):
    directory = tmp_path / "deep" / "journal"
    journal = Journal(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert len(names(directory)) == 2
    journal.close()


def test_what_was_appended_is_found_after_a_crash(journal, directory, crashed):
    journal.append_intent(rid(1), b"intent 1")
    journal.append_intent(rid(2), b"intent 2")
    journal.append_sealed(1, rid(1), b"entry 1")
    with only(crashed(directory)) as orphan:
        assert [(record.seq, record.request_id, record.payload) for record in orphan.sealed()] == [
            (1, rid(1), b"entry 1")
        ]
        assert [(record.request_id, record.payload) for record in orphan.open_intents] == [(rid(2), b"intent 2")]
        assert orphan.last_seq == 1
        assert orphan.torn == ()


def test_numbers_must_rise(journal):
    journal.append_sealed(5, rid(1), b"")
    with pytest.raises(ValueError, match="seq 5 follows 5"):
        journal.append_sealed(5, rid(2), b"")
    journal.append_sealed(9, rid(3), b"")
    assert journal.last_seq == 9


def test_a_full_segment_is_followed_by_another(journal, directory, crashed):
    for seq in range(1, 11):
        journal.append_sealed(seq, rid(seq), bytes(300))
    assert len(segments_of(directory, journal.writer_id)) == 5
    assert journal.bytes_used == sum(path.stat().st_size for path in segments_of(directory, journal.writer_id))
    with only(crashed(directory)) as orphan:
        assert [record.seq for record in orphan.sealed()] == list(range(1, 11))


def test_a_record_larger_than_a_segment_is_taken(journal, directory, crashed):
    journal.append_sealed(1, rid(1), bytes(5000))
    journal.append_sealed(2, rid(2), bytes(5000))
    with only(crashed(directory)) as orphan:
        assert [len(record.payload) for record in orphan.sealed()] == [5000, 5000]


def test_an_open_intent_is_carried_over_when_its_segment_goes(journal, directory, crashed):
    journal.append_intent(rid(99), b"long call")
    for seq in range(1, 11):
        journal.append_sealed(seq, rid(seq), bytes(300))
    journal.acknowledge(10)
    assert len(segments_of(directory, journal.writer_id)) == 1
    with only(crashed(directory)) as orphan:
        assert [record.payload for record in orphan.open_intents] == [b"long call"]
        assert orphan.last_seq == 10
    journal.append_sealed(11, rid(99), b"long answer")
    with only(crashed(directory)) as orphan:
        assert orphan.open_intents == ()
        assert [record.payload for record in orphan.sealed()] == [b"long answer"]


def test_a_sealed_entry_that_begins_a_segment_is_never_missing_together_with_its_intent(journal, directory, crashed):
    journal.append_intent(rid(1), bytes(500))
    journal.append_sealed(1, rid(1), bytes(500))
    _first, second = segments_of(directory, journal.writer_id)
    copy = crashed(directory)
    content = (copy / second.name).read_bytes()
    (copy / second.name).write_bytes(content[: -500 - FRAME_BYTES])
    with only(copy) as orphan:
        assert [record.request_id for record in orphan.open_intents] == [rid(1)]


def test_acknowledged_segments_are_removed_and_the_rest_stays(journal, directory, crashed):
    for seq in range(1, 11):
        journal.append_sealed(seq, rid(seq), bytes(300))
    journal.acknowledge(5)
    assert len(segments_of(directory, journal.writer_id)) == 3
    with only(crashed(directory)) as orphan:
        assert orphan.acknowledged == 5
        assert [record.seq for record in orphan.sealed()] == [6, 7, 8, 9, 10]


def test_with_nothing_unsent_the_payloads_leave_the_disk_at_once(journal, directory):
    journal.append_intent(rid(1), b"intent")
    journal.append_sealed(1, rid(1), b"a secret answer")
    empty = Journal(directory / "empty")
    journal.acknowledge(1)
    assert not any(b"secret" in path.read_bytes() for path in segments_of(directory, journal.writer_id))
    assert journal.bytes_used == empty.bytes_used
    empty.close()


def test_the_intents_of_long_calls_are_not_copied_at_every_acknowledgement(journal, directory):
    for number in range(100, 150):
        journal.append_intent(rid(number), bytes(100))
    for seq in range(1, 51):
        journal.append_sealed(seq, rid(seq), b"")
        journal.acknowledge(seq)
    [path] = segments_of(directory, journal.writer_id)
    assert int(path.name.split(".")[1]) < 20


def test_unsent_entries_can_be_read_back_while_the_journal_is_written(journal, directory):
    for seq in range(1, 8):
        journal.append_sealed(seq, rid(seq), bytes(300))
    read_back = journal.sealed_after(3)
    assert next(read_back).seq == 4
    journal.append_sealed(8, rid(8), bytes(300))
    assert [record.seq for record in read_back][:3] == [5, 6, 7]
    assert [record.seq for record in journal.sealed_after(7)] == [8]


def test_a_file_that_cannot_be_read_back_says_so(journal, directory):
    journal.append_sealed(1, rid(1), b"")
    read_back = journal.sealed_after(0)
    [path] = segments_of(directory, journal.writer_id)
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match="cannot be read back"):
        next(read_back)
    path.rmdir()


def test_an_older_acknowledgement_changes_nothing(journal):
    journal.append_sealed(1, rid(1), b"")
    journal.append_sealed(2, rid(2), b"")
    journal.acknowledge(2)
    journal.acknowledge(1)
    assert journal.acknowledged == 2


def test_room_shrinks_with_what_is_appended_and_comes_back_with_what_is_acknowledged(directory):
    journal = Journal(directory, max_bytes=10_000)
    empty = journal.room()
    journal.append_sealed(1, rid(1), bytes(1000))
    assert journal.room() == empty - 1000 - FRAME_BYTES
    journal.acknowledge(1)
    assert journal.room() == empty
    journal.close()


def test_room_is_never_negative(directory):
    journal = Journal(directory, max_bytes=1000)
    journal.append_sealed(1, rid(1), bytes(2000))
    assert journal.room() == 0
    journal.close()


def test_closing_with_nothing_unsent_leaves_no_file(directory):
    journal = Journal(directory)
    journal.append_intent(rid(1), b"")
    journal.append_sealed(1, rid(1), b"")
    journal.acknowledge(1)
    journal.close()
    journal.close()
    assert names(directory) == []


@pytest.mark.parametrize("sealed", [True, False], ids=["an unsent entry", "an open intent"])
def test_closing_leaves_what_is_not_done_to_the_next_start(directory, sealed):
    journal = Journal(directory)
    journal.append_intent(rid(1), b"")
    if sealed:
        journal.append_sealed(1, rid(1), b"")
    journal.close()
    with only(directory) as orphan:
        assert [record.request_id for record in [*orphan.sealed(), *orphan.open_intents]] == [rid(1)]


def test_a_closed_journal_refuses(directory):
    journal = Journal(directory)
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.append_intent(rid(1), b"")


@pytest.mark.parametrize("external", [True, False])
def test_files_that_cannot_be_removed_do_not_keep_a_journal_from_closing(directory, external):
    journal = Journal(directory, external=external, segment_bytes=1)
    journal.append_sealed(1, rid(1), b"")
    journal.append_sealed(2, rid(2), b"")
    if external:
        with Follower(directory) as follower:
            list(follower.read())
            follower.acknowledge(journal.writer_id, 2)
    oldest = segments_of(directory, journal.writer_id)[0]
    content = oldest.read_bytes()
    oldest.unlink()
    oldest.mkdir()
    if not external:
        with pytest.raises(JournalError, match="write access"):
            journal.acknowledge(2)
    journal.close()
    oldest.rmdir()
    oldest.write_bytes(content)
    assert list(orphans(directory)) == []
    assert not segments_of(directory, journal.writer_id)


def test_an_acknowledgement_that_cannot_be_written_is_an_error_and_may_be_repeated(journal):
    journal.append_sealed(1, rid(1), b"")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(JournalError, match="File too large"):
            journal.acknowledge(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.acknowledge(1)
    assert journal.acknowledged == 1


def test_many_threads_append_at_once(directory, crashed):
    journal = Journal(directory, segment_bytes=5000)
    numbering = threading.Lock()
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for number in range(200):
            request_id = rid(thread * 1000 + number)
            journal.append_intent(request_id, b"intent")
            with numbering:
                journal.append_sealed(journal.last_seq + 1, request_id, request_id)
                if number % 50 == 0:
                    journal.acknowledge(journal.last_seq // 2)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with only(crashed(directory)) as orphan:
        records = list(orphan.sealed())
        assert [record.seq for record in records] == list(range(orphan.acknowledged + 1, 1601))
        assert all(record.payload == record.request_id for record in records)
        assert orphan.open_intents == ()
        assert orphan.torn == ()
    journal.close()


def test_two_journals_of_one_process_do_not_take_each_other_for_dead(journal, directory):
    other = Journal(directory)
    other.append_sealed(1, rid(1), b"")
    assert list(orphans(directory)) == []
    other.close()
    assert [orphan.writer_id for orphan in orphans(directory)] == [other.writer_id]


def test_a_directory_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="write access"):
        Journal(tmp_path / "file" / "journal")


def test_a_journal_that_cannot_start_leaves_nothing(directory, monkeypatch):
    writer_id = bytes(16)
    (directory / f"{writer_id.hex()}.0000000001.new").mkdir(parents=True)
    with pytest.raises(JournalError):
        Journal(directory, writer_id=writer_id)
    assert names(directory) == [f"{writer_id.hex()}.0000000001.new"]
