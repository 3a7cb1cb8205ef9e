"""Where a trail keeps its journal and its key."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from auditmw.locations import home_of, journal_directory, key_directory, state_directory


def test_beside_a_database_file_or_folder_lies_a_directory_of_its_name():
    assert journal_directory("sqlite:////var/audit.db", None, {}) == Path("/var/audit.db.auditmw")
    assert journal_directory("jsonl:////var/lines", None, {}) == Path("/var/lines.auditmw")
    assert key_directory("sqlite:////var/audit.db") == home_of("sqlite:////var/audit.db")


def test_a_trail_in_memory_has_neither_journal_nor_key():
    assert journal_directory("memory://", None, {}) is None
    assert key_directory("memory://") is None


def test_what_is_chosen_comes_first_and_the_environment_second():
    environment = {"AUDITMW_JOURNAL_DIR": "/journal"}
    assert journal_directory("memory://", "/chosen", environment) == Path("/chosen")
    assert journal_directory("sqlite:////var/audit.db", None, environment) == Path("/journal")


def test_a_servers_journal_lies_below_the_users_state_apart_for_each_database():
    environment = {"XDG_STATE_HOME": "/state"}
    first = journal_directory("postgresql://user:secret@host/one", None, environment)
    second = journal_directory("postgresql://user:secret@host/two", None, environment)
    assert first is not None
    assert first.parent == Path("/state/auditmw")
    assert first != second
    assert "secret" not in str(first)
    assert key_directory("postgresql://host/one") is None


def test_without_xdg_it_is_the_home_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory({}) == tmp_path / ".local" / "state"


@pytest.mark.parametrize("home", ["missing", "raises"])
def test_without_a_home_it_is_a_temporary_directory_of_the_users_own(home, monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("no home")

    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    if home == "raises":
        monkeypatch.setattr(Path, "home", no_home)
    assert state_directory({}).parent == Path(tempfile.gettempdir())
