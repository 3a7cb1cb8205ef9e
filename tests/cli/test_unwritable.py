import json
import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from auditmw import AuditTrail
from auditmw.errors import StoreUnavailable

NOBODY = 65534
COMMANDS = [
    ["query"],
    ["query", "--format", "json"],
    ["report", "cost"],
    ["show", "{id}"],
    ["prove", "{id}"],
    ["hold", "list"],
    ["export", "--format", "csv", "--no-record"],
    ["retain", "--dry-run", "--policy", "standard"],
]


@pytest.fixture
def trail(monkeypatch):
    """The URL of a trail that everybody may read, in a directory that nobody may write, and an entry of it."""
    folder = Path(tempfile.mkdtemp(prefix="auditmw-unwritable-"))
    url = f"sqlite:///{folder}/trail.db"
    with AuditTrail(url) as made, made.call(user_id="alice", model="m") as call:
        pass
    (folder / "trail.db").chmod(0o644)
    folder.chmod(0o555)
    monkeypatch.chdir(folder)
    yield url, call.request_id
    shutil.rmtree(folder)


@pytest.fixture
def as_reader():
    """Makes this process one of a user that may not write everything."""

    def become():
        if os.geteuid() == 0:
            os.seteuid(NOBODY)

    before = os.geteuid()
    yield become
    os.seteuid(before)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_trail_is_read_where_nothing_may_be_written(arguments, auditmw, trail, as_reader):
    url, entry = trail
    arguments = [argument.replace("{id}", entry) for argument in arguments]
    before = auditmw(*arguments, db=url)
    for beside in Path().glob("trail.db-*"):
        beside.unlink()
    as_reader()
    result = auditmw(*arguments, db=url)
    assert (result.code, result.err) == (before.code, before.err)
    assert result.code in {0, 2}
    assert {path.name for path in Path().iterdir()} == {"trail.db", "trail.db.auditmw"}


def test_what_is_not_in_the_file_yet_is_not_passed_over(auditmw, trail, as_reader):
    url, _ = trail
    auditmw("query", db=url)
    for beside in Path().glob("trail.db-*"):
        beside.unlink()
    Path("trail.db-wal").write_bytes(b"somebody has died")
    Path("trail.db-wal").chmod(0o600)
    as_reader()
    result = auditmw("query", db=url)
    assert (result.code, result.out) == (3, "")
    assert "trail.db cannot be opened or written" in result.err


def test_a_reader_that_cannot_see_what_is_written_says_so(trail, as_reader, auditmw):
    url, _ = trail
    auditmw("query", db=url)
    for beside in Path().glob("trail.db-*"):
        beside.unlink()
    as_reader()
    with closing(AuditTrail(url)) as reader:
        assert len(list(reader.sync.query())) == 1
        os.seteuid(os.getuid())
        Path().chmod(0o755)
        with AuditTrail(url) as writer, writer.call(user_id="bob"):
            pass
        with pytest.raises(StoreUnavailable, match="open it again"):
            list(reader.sync.query())


def test_what_may_not_be_written_is_not_erased(auditmw, trail, as_reader):
    url, _ = trail
    auditmw("erase", "--user", "nobody", "--yes", db=url)
    for beside in Path().glob("trail.db-*"):
        beside.unlink()
    as_reader()
    result = auditmw("erase", "--user", "alice", "--yes", db=url)
    assert result.code == 3
    assert "must be allowed to write both" in result.err
    assert json.loads(auditmw("query", "--user", "alice", "--format", "json", db=url).out)["user_id"] == "alice"
