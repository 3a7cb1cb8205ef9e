"""What every privacy store does, in SQLite and PostgreSQL, and what it says when it cannot."""

import asyncio
import threading
from datetime import UTC, datetime

import asyncpg
import pytest

from auditmw.errors import ConfigurationError, SchemaMismatch, StoreError, StoreUnavailable
from auditmw.log.leaf import CLASSES, erase
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.person import Person
from auditmw.stores.filters import Condition
from auditmw.stores.privacy import ErasedRow, alone, open_privacy

ALICE = Person(user_id="alice")


@pytest.mark.parametrize("missing", ["sqlite:///{folder}/none.db", "{empty}", "memory://", "jsonl:///{folder}"])
def test_a_url_with_nothing_at_it_is_said(missing, tmp_path, postgres_url):
    with pytest.raises(ConfigurationError, match=r"no trail at|need a database"):
        open_privacy(missing.format(folder=tmp_path, empty=postgres_url))


def test_a_trail_of_an_older_version_must_be_migrated_first(trail):
    trail.change("DELETE FROM audit_schema WHERE version = (SELECT max(version) FROM audit_schema)")
    with pytest.raises(SchemaMismatch, match="auditmw migrate"):
        open_privacy(trail.url)


def test_a_server_that_does_not_answer_may_be_asked_again():
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        open_privacy("postgresql://nobody@127.0.0.1:1/none")


def test_an_entry_is_found_by_its_id(trail, make_entry, privacy):
    trail.append("w", [make_entry(n) for n in range(3)])
    assert (privacy.find("r1"), privacy.find("unknown")) == (1, None)


def test_entries_are_restricted_and_shown_again(trail, make_entry, privacy):
    trail.append("w", [make_entry(n) for n in range(3)])
    rows = privacy.rows([], 0, 3, 10)
    privacy.restrict(rows[:2], "e1")
    assert [row.restricted for row in privacy.rows([], 0, 3, 10)] == ["e1", "e1", None]
    marked = privacy.rows([Condition("restricted", "=", "e1")], 0, 3, 10)
    assert [row.leaf_index for row in marked] == [0, 1]
    privacy.restrict(marked[:1], None)
    assert [entry.request_id for entry in trail.entries()] == ["r0", "r2"]
    assert [entry.request_id for entry in trail.entries(restricted=True)] == ["r1"]


def test_one_removes_at_a_time_and_another_is_told_so(trail, privacy):
    other = open_privacy(trail.url)
    with alone(other), pytest.raises(StoreUnavailable, match="another process"), alone(privacy, seconds=0.1):
        raise AssertionError
    with alone(privacy):
        pass
    other.close()


def test_what_cannot_be_removed_is_left_whole(trail, make_entry, privacy, log):
    trail.append("w", [make_entry(1)])
    trail.change("ALTER TABLE audit_content RENAME TO moved")
    before = trail.entries()
    rows = privacy.rows([], 0, 1, 1)
    every = sum(c.bit for c in CLASSES)
    with pytest.raises((StoreError, SchemaMismatch), match="audit_content"):
        privacy.erase([ErasedRow(rows[0], *erase(rows[0].values, rows[0].salts, 0, every))], every)
    assert trail.entries() == before
    trail.change("ALTER TABLE moved RENAME TO audit_content")


def test_an_erasure_that_new_entries_outrun_is_partly_and_goes_on(trail, make_entry, privacy, log):
    numbers = iter(range(1, 1000))

    def one_more(step):
        if step == "erase":
            number = next(numbers)
            trail.append(f"w{number}", [make_entry(number)])

    trail.append("w0", [make_entry(0)])
    receipt = Erasure(log, privacy, wait_seconds=1, on_step=one_more).run(ALICE)
    assert (receipt.answer, receipt.kept) == ("partly", ["new entries came as fast as old ones went"])
    (receipt,) = Erasure(log, privacy, wait_seconds=30).resume()
    assert receipt.answer == "erased"
    assert trail.entries(user_id="alice") == []


def test_a_log_that_cannot_be_opened_leaves_nothing_running(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be opened"), ControlLog(f"sqlite:///{tmp_path}/no/such.db"):
        raise AssertionError
    assert "auditmw" not in {thread.name for thread in threading.enumerate()}


# --- PostgreSQL alone -------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres(trail):
    if not trail.url.startswith("postgres"):
        pytest.skip("SQLite has no such thing")
    return trail


@pytest.fixture
def session(postgres):
    """Another session of the database, in which statements are run."""
    runner = asyncio.Runner()
    db = runner.run(asyncpg.connect(postgres.url))
    yield lambda sql: runner.run(db.execute(sql))
    runner.run(db.close())
    runner.close()


def test_a_transaction_from_before_an_erasure_makes_it_partly_until_it_ends(
    postgres, session, make_entry, log, privacy
):
    postgres.append("w", [make_entry(1)])
    session("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session("SELECT count(*) FROM audit_entries")
    receipt = Erasure(log, privacy, wait_seconds=0.3).run(ALICE)
    assert receipt.answer == "partly"
    assert "a transaction from before the erasure is still open" in receipt.kept[0]
    session("ROLLBACK")
    assert Erasure(log, privacy, wait_seconds=30).run(ALICE).answer == "erased"


def test_a_process_that_goes_on_with_an_erasure_rewrites_what_another_one_has_touched(
    postgres, session, make_entry, log, privacy
):
    postgres.append("w", [make_entry(1, user_id="alice-of-the-first-page")])
    session("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session("SELECT count(*) FROM audit_entries")
    person = Person(user_id="alice-of-the-first-page")
    assert Erasure(log, privacy, wait_seconds=0.3).run(person).answer == "partly"
    table = f"audit_entries_{datetime.now(UTC):%Y_%m}"
    (before,) = postgres.select(f"SELECT relfilenode FROM pg_class WHERE relname = '{table}'")
    other = open_privacy(postgres.url)
    assert Erasure(log, other, wait_seconds=0.3).run(person).answer == "partly"
    session("ROLLBACK")
    assert Erasure(log, other, wait_seconds=30).run(person).answer == "erased"
    assert other.settings("scrub/") == {}
    other.close()
    assert postgres.select(f"SELECT relfilenode FROM pg_class WHERE relname = '{table}'") != [before]


def test_a_table_that_others_hold_is_named(postgres, session, make_entry, log, privacy):
    postgres.append("w", [make_entry(1)])
    session("BEGIN")
    session("LOCK TABLE audit_content IN ACCESS SHARE MODE")
    receipt = Erasure(log, privacy, wait_seconds=0.3).run(ALICE)
    assert receipt.answer == "partly"
    assert any("audit_content could not be vacuumed" in reason for reason in receipt.kept)
    session("COMMIT")
    assert Erasure(log, privacy, wait_seconds=30).run(ALICE).answer == "erased"


def test_the_receipt_names_what_no_client_of_the_database_reaches(trail, privacy):
    said = " ".join(privacy.left_behind())
    if trail.url.startswith("postgres"):
        assert all(place in said for place in ("pg_wal", "replicas", "log files", "backups"))
    else:
        assert "copies and backups" in said
