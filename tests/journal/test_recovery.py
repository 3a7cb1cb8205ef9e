import os
from zlib import crc32

import pytest

from auditmw.errors import JournalError
from auditmw.journal import Journal, Torn, orphans
from auditmw.journal.segment import segments_of
from auditmw.journal.state import hold, state_path


def rid(number: int) -> bytes:
    return number.to_bytes(16, "big")


def only(directory):
    [orphan] = orphans(directory)
    return orphan


def names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def dead(journal, directory, crashed):
    """A crashed writer with three segments, six entries and an open intent."""
    journal.append_intent(rid(99), b"in flight")
    for seq in range(1, 7):
        journal.append_sealed(seq, rid(seq), bytes([seq]) * 400)
    return crashed(directory)


def test_a_torn_tail_is_cut_and_counted(dead):
    newest = max(dead.glob("*.journal"))
    content = newest.read_bytes()[:-1]
    newest.write_bytes(content)
    with only(dead) as orphan:
        assert [record.seq for record in orphan.sealed()] == [1, 2, 3, 4, 5]
        [torn] = orphan.torn
        tail = content[torn.offset :]
        assert torn == Torn(newest.name, len(content) - len(tail), 434, crc32(tail))


def test_a_hole_in_the_middle_costs_only_the_records_in_it(dead):
    _, second, _ = sorted(dead.glob("*.journal"))
    content = bytearray(second.read_bytes())
    content[-500] ^= 1
    second.write_bytes(content)
    with only(dead) as orphan:
        assert [record.seq for record in orphan.sealed()] == [1, 2, 4, 5, 6]
        assert [torn.file for torn in orphan.torn] == [second.name]


def test_a_segment_without_its_header_is_read_as_far_as_possible(dead):
    newest = max(dead.glob("*.journal"))
    content = newest.read_bytes()
    newest.write_bytes(bytes(30) + content[30:])
    with only(dead) as orphan:
        assert [record.seq for record in orphan.sealed()] == [1, 2, 3, 4, 5, 6]
        assert [record.request_id for record in orphan.open_intents] == [rid(99)]
        assert sum(torn.length for torn in orphan.torn) < 120


def test_recovery_that_is_killed_is_repeated_with_the_same_result(dead):
    with only(dead) as first:
        before = (list(first.sealed()), first.open_intents, first.last_seq)
    with only(dead) as second:
        assert (list(second.sealed()), second.open_intents, second.last_seq) == before


def test_a_removal_that_is_interrupted_still_tells_what_was_in_flight_and_where_the_sequence_ended(dead):
    for path in sorted(dead.glob("*.journal"))[:-1]:
        path.unlink()
        with only(dead) as orphan:
            assert orphan.last_seq == 6
            assert [record.payload for record in orphan.open_intents] == [b"in flight"]


def test_what_is_removed_is_gone(dead):
    (dead / (max(dead.glob("*.journal")).stem[:-1] + "9.new")).touch()
    only(dead).remove()
    assert names(dead) == []
    assert list(orphans(dead)) == []


def test_what_is_released_is_found_again(dead):
    orphan = only(dead)
    assert list(orphans(dead)) == []
    orphan.release()
    orphan.release()
    only(dead).release()


def test_an_orphan_says_who_wrote_it(directory):
    journal = Journal(directory, metadata=b"host a")
    journal.append_intent(rid(1), b"")
    journal.close()
    with only(directory) as orphan:
        assert (orphan.writer_id, orphan.pid, orphan.metadata) == (journal.writer_id, os.getpid(), b"host a")


def test_writers_come_in_the_order_in_which_they_started(directory, crashed):
    journals = [Journal(directory) for _ in range(5)]
    for journal in reversed(journals):
        journal.append_sealed(1, rid(1), b"")
        journal.close()
    assert [orphan.writer_id for orphan in orphans(directory)] == [journal.writer_id for journal in journals]


def test_a_crashed_writer_with_nothing_unsent_is_removed_without_a_word(journal, directory, crashed):
    journal.append_sealed(1, rid(1), b"")
    journal.acknowledge(1)
    copy = crashed(directory)
    assert list(orphans(copy)) == []
    assert names(copy) == []


def test_entries_are_sent_again_when_the_acknowledgement_was_torn(journal, directory, crashed):
    journal.append_sealed(1, rid(1), b"")
    journal.append_intent(rid(2), b"")
    journal.append_intent(rid(3), b"")
    copy = crashed(directory)
    state_path(copy, journal.writer_id).write_bytes(b"auditmw\x01 torn")
    with only(copy) as orphan:
        assert orphan.acknowledged == 0
        assert [record.seq for record in orphan.sealed()] == [1]


def test_segments_without_a_state_file_are_recovered(dead):
    [state] = dead.glob("*.state")
    state.unlink()
    with only(dead) as orphan:
        assert len(list(orphan.sealed())) == 6


def test_a_journal_of_a_newer_format_stays_and_is_named_after_the_others_have_been_recovered(dead, directory):
    newer = Journal(dead)
    newer.append_sealed(1, rid(1), b"")
    newer.close()
    [path] = segments_of(dead, newer.writer_id)
    path.write_bytes(b"auditmw\x02" + path.read_bytes()[8:])
    found = []
    with pytest.raises(JournalError, match="upgrade"):
        found.extend(orphans(dead))
    assert len(found) == 1
    assert found[0].writer_id != newer.writer_id
    assert path.exists()
    found[0].release()


def test_a_journal_that_cannot_be_removed_says_what_to_do(dead):
    orphan = only(dead)
    newest = max(dead.glob("*.journal"))
    newest.unlink()
    newest.mkdir()
    with pytest.raises(JournalError, match="write access"):
        orphan.remove()
    orphan.release()


def test_an_empty_or_missing_directory_holds_no_orphans(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert list(orphans(tmp_path)) == []
    assert list(orphans(tmp_path / "missing")) == []


def test_a_file_removed_while_its_lock_was_awaited_is_made_anew(tmp_path, monkeypatch):
    import fcntl

    path = tmp_path / "state"
    real, removed = fcntl.flock, []

    def flock(fd, operation):
        real(fd, operation)
        if not removed:
            removed.append(path.unlink())

    monkeypatch.setattr(fcntl, "flock", flock)
    held = hold(path)
    assert path.exists()
    held.remove()
    assert not path.exists()
