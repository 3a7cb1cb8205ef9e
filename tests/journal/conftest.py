import shutil
from pathlib import Path

import pytest

from auditmw.journal import Journal


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def journal(directory):
    """An open journal with small segments."""
    journal = Journal(directory, segment_bytes=1000)
    yield journal
    journal.close()


@pytest.fixture
def crashed(tmp_path):
    """Gives the directory as another process would find it had the writer died now: a copy is held by nobody."""

    def copy(directory: Path) -> Path:
        target = tmp_path / f"crashed-{sum(1 for _ in tmp_path.glob('crashed-*'))}"
        shutil.copytree(directory, target)
        return target

    return copy
