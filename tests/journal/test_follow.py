import pytest

from auditmw.errors import JournalError
from auditmw.journal import FRAME_BYTES, Follower, Journal, orphans
from auditmw.journal.segment import segments_of
from auditmw.journal.state import state_path


def rid(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def shipped(directory):
    """A live journal with small segments that another process ships."""
    journal = Journal(directory, external=True, segment_bytes=1000)
    yield journal
    journal.close()


@pytest.fixture
def follower(shipped, directory):
    with Follower(directory) as follower:
        yield follower


def read(follower):
    return [(writer_id, [record.seq for record in records]) for writer_id, records in follower.read()]


def test_new_entries_are_read_once_and_in_order(shipped, follower):
    assert read(follower) == []
    shipped.append_intent(rid(1), b"")
    shipped.append_sealed(1, rid(1), b"")
    shipped.append_sealed(2, rid(2), b"")
    assert read(follower) == [(shipped.writer_id, [1, 2])]
    assert read(follower) == []
    shipped.append_sealed(3, rid(3), b"")
    assert read(follower) == [(shipped.writer_id, [3])]


def test_a_reader_goes_on_from_segment_to_segment(shipped, follower):
    for seq in range(1, 11):
        shipped.append_sealed(seq, rid(seq), bytes(300))
        if seq == 3:
            assert read(follower) == [(shipped.writer_id, [1, 2]), (shipped.writer_id, [3])]
    assert [seq for _, records in read(follower) for seq in records] == [4, 5, 6, 7, 8, 9, 10]


def test_an_entry_that_is_still_being_written_is_waited_for(shipped, follower, directory):
    shipped.append_sealed(1, rid(1), bytes(100))
    [path] = segments_of(directory, shipped.writer_id)
    whole = path.read_bytes()
    for length in range(len(whole) - 100 - FRAME_BYTES, len(whole)):
        path.write_bytes(whole[:length])
        assert read(follower) == []
    path.write_bytes(whole)
    assert read(follower) == [(shipped.writer_id, [1])]


def test_a_failed_write_that_was_left_in_a_file_is_passed_over(shipped, follower, directory):
    shipped.append_sealed(1, rid(1), b"")
    [path] = segments_of(directory, shipped.writer_id)
    with path.open("ab") as file:
        file.write(b"half a rec")
    assert read(follower) == [(shipped.writer_id, [1])]
    shipped.append_sealed(2, rid(2), b"")
    assert read(follower) == [(shipped.writer_id, [2])]


def test_the_owner_lets_go_of_what_the_shipper_acknowledged(shipped, follower, directory):
    for seq in range(1, 11):
        shipped.append_sealed(seq, rid(seq), bytes(300))
    list(follower.read())
    follower.acknowledge(shipped.writer_id, 6)
    shipped.refresh()
    assert shipped.acknowledged == 6
    assert len(segments_of(directory, shipped.writer_id)) == 2
    follower.acknowledge(shipped.writer_id, 10)
    shipped.refresh()
    shipped.refresh()
    assert shipped.room() > shipped.max_bytes - 200
    shipped.append_sealed(11, rid(11), b"")
    assert read(follower) == [(shipped.writer_id, [11])]


def test_a_new_shipper_goes_on_behind_what_was_acknowledged(shipped, directory):
    for seq in range(1, 7):
        shipped.append_sealed(seq, rid(seq), b"")
    with Follower(directory) as first:
        list(first.read())
        first.acknowledge(shipped.writer_id, 4)
    with Follower(directory) as second:
        assert read(second) == [(shipped.writer_id, [5, 6])]


def test_a_second_shipper_is_refused(follower, directory):
    with pytest.raises(JournalError, match="already followed"):
        Follower(directory)


def test_a_missing_directory_cannot_be_followed(tmp_path):
    with pytest.raises(JournalError, match="journal directory"):
        Follower(tmp_path / "missing")


def test_a_writer_that_sends_its_own_entries_is_left_alone(follower, directory):
    own = Journal(directory)
    own.append_sealed(1, rid(1), b"")
    assert read(follower) == []
    own.close()


def test_a_dead_writer_is_recovered_behind_what_was_acknowledged(shipped, directory, crashed):
    for seq in range(1, 4):
        shipped.append_sealed(seq, rid(seq), b"")
    shipped.append_intent(rid(4), b"in flight")
    with Follower(directory) as follower:
        list(follower.read())
        follower.acknowledge(shipped.writer_id, 2)
    copy = crashed(directory)
    with Follower(copy) as follower:
        assert read(follower) == [(shipped.writer_id, [3])]
        [orphan] = orphans(copy)
        assert [record.seq for record in orphan.sealed()] == [3]
        assert [record.payload for record in orphan.open_intents] == [b"in flight"]
        orphan.remove()
        assert read(follower) == []
        follower.acknowledge(shipped.writer_id, 3)


def test_closing_a_journal_takes_the_last_acknowledgement_into_account(directory):
    journal = Journal(directory, external=True)
    journal.append_sealed(1, rid(1), b"")
    with Follower(directory) as follower:
        list(follower.read())
        follower.acknowledge(journal.writer_id, 1)
        journal.close()
        assert read(follower) == []
    assert [path.name for path in directory.iterdir()] == ["shipper.lock"]


def test_a_segment_that_vanishes_before_it_is_opened_is_passed_over(shipped, follower, directory, monkeypatch):
    for seq in range(1, 5):
        shipped.append_sealed(seq, rid(seq), bytes(400))
    batches = follower.read()
    assert [record.seq for record in next(batches)[1]] == [1, 2]
    segments_of(directory, shipped.writer_id)[1].unlink()
    assert list(batches) == []


def test_a_journal_that_cannot_be_read_does_not_hold_up_the_others(shipped, follower, directory):
    others = [Journal(directory, external=True) for _ in range(3)]
    for journal in [shipped, *others]:
        journal.append_sealed(1, rid(1), b"")
    [path] = segments_of(directory, shipped.writer_id)
    content = path.read_bytes()
    path.unlink()
    path.mkdir()
    found = []
    with pytest.raises(JournalError, match="cannot be read"):
        found.extend(follower.read())
    assert {writer_id for writer_id, _ in found} == {journal.writer_id for journal in others}
    path.rmdir()
    path.write_bytes(content)
    for journal in others:
        journal.close()


def test_an_acknowledgement_that_cannot_be_written_says_what_to_do(shipped, follower, directory):
    list(follower.read())
    path = state_path(directory, shipped.writer_id)
    shipped.append_sealed(1, rid(1), b"")
    assert read(follower) == [(shipped.writer_id, [1])]
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match="application's user"):
        follower.acknowledge(shipped.writer_id, 1)
    path.rmdir()
