"""What `trail.health()` counts, and what is said in the log when it changes."""

import os
from pathlib import Path

import pytest

from auditmw.alarms import Alarms
from auditmw.health import Health
from auditmw.journal import filesystem, filesystem_of, volatile_filesystem

from .conftest import eventually, fill, record


@pytest.fixture
def log(monkeypatch):
    """The events that were logged, as names and fields."""
    events = []

    class Logger:
        def __getattr__(self, level):
            return lambda event, **fields: events.append((event, level, fields))

    monkeypatch.setattr("auditmw.diagnostics.logger", Logger)
    return events


def named(log, event):
    return [fields for name, _, fields in log if name == f"auditmw.{event}"]


def test_a_new_trail_is_well(make_trail):
    health = make_trail().health()
    assert health.ok
    assert health.oldest_unsent_s is None


def test_it_is_a_snapshot(make_trail):
    trail = make_trail()
    before = trail.health()
    record(trail)
    assert before.missing_context == 0
    assert trail.health().missing_context == 1


def test_written_waiting_and_in_flight_are_counted(make_trail, store):
    trail = make_trail()
    store.on = False
    with trail.call(action="a"):
        assert trail.health().in_flight == 1
    eventually(lambda: trail.health().retried)
    record(trail)  # behind the batch that is on its way
    health = trail.health()
    assert (health.in_flight, health.queue_entries) == (0, 3)
    assert health.queue_bytes > 0
    assert health.journal_bytes > health.queue_bytes
    assert health.oldest_unsent_s >= 0
    store.on = True
    trail.sync.flush(10)
    health = trail.health()
    assert (health.written, health.queue_entries, health.queue_bytes, health.oldest_unsent_s) == (3, 0, 0, None)
    assert health.retried > 0


@pytest.mark.parametrize("field", ["dropped", "lost", "set_aside", "journal_failures"])
def test_a_loss_is_not_well(field):
    assert not Health(**{field: 1}).ok


@pytest.mark.parametrize("field", ["last_store_error", "journal_error"])
def test_what_is_stuck_is_not_well(field):
    assert not Health(**{field: "why"}).ok


def test_an_outage_and_its_end_are_each_told_once(make_trail, store, log):
    trail = make_trail()
    store.on = False
    record(trail)
    eventually(lambda: trail.health().retried > 3)
    assert trail.health().last_store_error == "the store is switched off"
    store.on = True
    trail.sync.flush(10)
    assert trail.health().last_store_error is None
    assert len(named(log, "store_unavailable")) == len(named(log, "store_available")) == 1


def test_a_full_disk_and_its_end_are_each_told_once(make_trail, small_disk, log, store):
    trail = make_trail(journal_dir=small_disk / "journal")
    store.on = False
    record(trail)
    filler = fill(small_disk)
    for _ in range(30):
        record(trail, metadata={"x": "x" * 500})
    filler.unlink()
    record(trail)
    trail.close(0.1)
    assert len(named(log, "journal_failed")) == len(named(log, "journal_available")) == 1


def test_drops_are_told(make_trail, store, log):
    trail = make_trail(on_full="drop", max_journal_bytes=64 * 1024)
    store.on = False
    while trail.health().dropped < 5:
        record(trail, metadata={"x": "x" * 500})
    eventually(lambda: named(log, "entries_dropped"))


def test_slow_journal_writes_are_counted_and_told(make_trail, log, monkeypatch):
    monkeypatch.setattr("auditmw.journal.chain.SLOW_SECONDS", -1.0)
    trail = make_trail()
    record(trail)
    trail.sync.flush(10)
    assert trail.health().slow_journal_writes >= 3
    assert named(log, "journal_slow")


def test_a_count_is_told_again_when_it_has_doubled(log):
    alarms, health = Alarms(), Health()
    for count in range(101):
        health.missing_context = count
        alarms.tell(health)
    assert [fields["count"] for fields in named(log, "missing_context")] == [1, 2, 4, 8, 16, 32, 64]


def test_a_warning_is_told_once(log):
    alarms, health = Alarms(), Health(warnings=["mind this"])
    alarms.tell(health)
    alarms.tell(health)
    assert named(log, "warning") == [{"meaning": "mind this"}]


MOUNTS = """\
overlay / overlay rw 0 0
/dev/sda1 /data ext4 rw 0 0
tmpfs /data/fast tmpfs rw 0 0
"""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    path = tmp_path / "mounts"
    path.write_text(MOUNTS)
    monkeypatch.setattr(filesystem, "_MOUNTS", path)
    return path


@pytest.mark.parametrize(
    ("path", "kind", "volatile"),
    [("/app/journal", "overlay", True), ("/data/journal", "ext4", False), ("/data/fast/journal", "tmpfs", True)],
)
def test_the_file_system_of_a_journal_is_known(mounts, path, kind, volatile):
    assert filesystem_of(Path(path)) == kind
    assert volatile_filesystem(Path(path)) == (kind if volatile else None)


def test_the_last_mount_on_a_place_counts(mounts):
    mounts.write_text(MOUNTS + "/dev/sdb1 / ext4 rw 0 0\n")
    assert volatile_filesystem(Path("/app")) is None


def test_where_no_mounts_are_listed_nothing_is_claimed(mounts):
    mounts.unlink()
    assert volatile_filesystem(Path("/app")) is None


def test_a_journal_that_a_restart_would_lose_is_a_warning(make_trail, log, tmp_path, monkeypatch):
    shared = Path("/dev/shm")
    if filesystem_of(shared) != "tmpfs" or not os.access(shared, os.W_OK):
        pytest.skip("there is no tmpfs here")
    trail = make_trail(journal_dir=shared / f"auditmw-{os.getpid()}")
    record(trail)
    trail.sync.flush(10)
    assert "set AUDITMW_JOURNAL_DIR" in trail.health().warnings[0]
    assert not trail.health().ok
    eventually(lambda: named(log, "warning"))
    trail.close()
    (shared / f"auditmw-{os.getpid()}").rmdir()
