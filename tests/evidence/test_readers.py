"""How a trail is read for verification, beside those that write it."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from auditmw import verification
from auditmw.errors import ConfigurationError, NoTrail, SchemaMismatch, StoreUnavailable, TrailDamaged
from auditmw.stores.evidence import open_evidence, read_evidence
from auditmw.verification import verify_trail


@pytest.fixture
def lite(sqlite_copies):
    return sqlite_copies.full()


def path_of(trail):
    return trail.url.removeprefix("sqlite:///")


def test_a_file_that_changes_although_nobody_had_it_open_is_read_again(lite):
    reads = []

    def work(reader):
        reads.append(reader.head().key_id)
        if len(reads) == 1:
            lite.execute("UPDATE audit_trail SET key_id = 'another'")
        return len(reads)

    assert read_evidence(lite.url, work) == 2
    assert reads == [None, "another"]


def test_what_such_a_reading_stumbles_over_counts_only_if_it_comes_again(lite):
    reads = []

    def work(reader):
        reads.append(reader)
        if len(reads) == 1:
            lite.execute("UPDATE audit_trail SET key_id = 'another'")
            raise TrailDamaged
        return "read"

    assert read_evidence(lite.url, work) == "read"
    with pytest.raises(TrailDamaged):
        read_evidence(lite.url, lambda _: (_ for _ in ()).throw(TrailDamaged))


def test_a_file_that_never_rests_is_read_in_the_end(lite):
    def work(_):
        lite.execute("UPDATE audit_trail SET key_id = coalesce(key_id, '') || 'x'")
        return "read"

    assert read_evidence(lite.url, work) == "read"


def test_a_file_that_somebody_writes_is_read_as_it_was_at_one_moment(lite):
    writer = sqlite3.connect(path_of(lite), isolation_level=None)
    writer.execute("UPDATE audit_trail SET key_id = 'one'")
    reader = open_evidence(lite.url)
    assert reader.head().key_id == "one"
    writer.execute("UPDATE audit_trail SET key_id = 'two'")
    assert reader.head().key_id == "one"
    assert not reader.disturbed()
    reader.close()
    writer.close()


def test_a_job_that_dies_settles_nothing(lite, monkeypatch):
    monkeypatch.setattr(verification, "_begin_job", os._exit)
    with pytest.raises(StoreUnavailable, match="has ended too early"):
        lite.verify(jobs=2)


def test_progress_is_told(lite):
    told = []
    verify_trail(lite.url, progress=lambda done, total: told.append((done, total)))
    assert told == [(620, 620)]


def test_what_is_no_trail_is_told_apart(lite, tmp_path):
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).execute("CREATE TABLE t (x)").connection.close()
    for url, error in (
        (f"sqlite:///{tmp_path}/none.db", NoTrail),
        (f"sqlite:///{empty}", NoTrail),
        (f"sqlite:///{tmp_path}", StoreUnavailable),
        (f"jsonl:///{tmp_path}/none", NoTrail),
        ("memory://", ConfigurationError),
        ("what://x", ConfigurationError),
    ):
        with pytest.raises(error):
            open_evidence(url)


def test_a_table_that_was_dropped_is_damage(lite):
    lite.execute("DROP TABLE audit_tiles")
    with pytest.raises(TrailDamaged):
        lite.verify()


def test_an_older_or_newer_schema_is_not_judged(trail):
    trail.execute("UPDATE audit_schema SET version = 999 WHERE version = 1")
    with pytest.raises(SchemaMismatch):
        trail.verify()
    trail.execute("DELETE FROM audit_schema WHERE version > 1")
    with pytest.raises(SchemaMismatch):
        trail.verify()


def test_a_row_moved_far_away_is_not_looked_for_everywhere(lite):
    lite.execute(
        "UPDATE audit_entries SET leaf_index = 1000000000000 WHERE leaf_index = 619",
        "UPDATE audit_trail SET size = 1000000000001",
    )
    report = lite.verify()
    assert (report.verdict, report.entries) == ("tampered", 620)


def test_a_copy_without_its_journal_is_a_trail(lite, tmp_path):
    shutil.copy(path_of(lite), tmp_path / "copy.db")
    assert verify_trail(f"sqlite:///{tmp_path / 'copy.db'}").verdict == "self-consistent"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db"]


def test_a_retain_entry_that_is_not_json_declares_nothing(lite):
    lite.execute(
        """UPDATE audit_entries SET action = 'retain', metadata = '"first_leaf" nonsense' WHERE leaf_index = 550""",
        "DELETE FROM audit_entries WHERE leaf_index < 5",
    )
    assert lite.verify().structure.first_bad.first == 0


def test_pages_are_damage_where_they_cannot_be_read(lite, tmp_path):
    path = tmp_path / "damaged.db"
    data = bytearray(Path(path_of(lite)).read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(TrailDamaged):
        verify_trail(f"sqlite:///{path}")
