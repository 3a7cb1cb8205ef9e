"""What a login with a role of PostgreSQL can do with a trail, and what it cannot."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tests.privacy.conftest import Trail, run_postgres

from auditmw import AuditTrail
from auditmw.cli.app import run
from auditmw.privacy.policy import read_policy
from auditmw.stores.postgres_roles import make_roles, renew_roles
from auditmw.stores.privacy import open_privacy

LOGIN = "application_of_this_test"


@pytest.fixture
def owner(postgres_url):
    """A trail in PostgreSQL, as its owner."""
    trail = Trail(postgres_url)
    trail.append("nobody", [])
    return trail


@pytest.fixture
def writer(owner):
    """The same trail for a login that may do what an application needs."""
    asyncio.run(make_roles(owner.url))
    run_postgres(owner.url, f"CREATE ROLE {LOGIN} LOGIN IN ROLE audit_writer")
    yield as_login(owner.url)
    run_postgres(owner.url, "DROP OWNED BY audit_writer, audit_reader")
    run_postgres(owner.url, f"DROP ROLE {LOGIN}, audit_writer, audit_reader")


@pytest.fixture
def privacy_of():
    opened = []

    def privacy_of(trail):
        opened.append(open_privacy(trail.url))
        return opened[-1]

    yield privacy_of
    for store in opened:
        store.close()


def as_login(url):
    parts = urlsplit(url)
    return Trail(urlunsplit(parts._replace(netloc=f"{LOGIN}@{parts.netloc.rpartition('@')[2]}")))


def refused(trail, sql):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        run_postgres(trail.url, sql)
    return True


def record(url, *users, **options):
    with AuditTrail(url, **options) as trail:
        for user in users:
            with trail.call(action="ask", model="m", user_id=user):
                pass
        trail.sync.flush()


def test_an_application_with_the_writers_role_keeps_rollups_and_what_is_in_force(owner, writer, capfd, tmp_path):
    record(writer.url, "alice", "bob", journal_dir=tmp_path)
    assert owner.rolled() == [("alice", 1), ("bob", 1)]
    assert owner.select("SELECT name FROM audit_settings") == [("in_force",)]
    said = capfd.readouterr().err
    assert "not_rolled" not in said
    assert "setting_not_kept" not in said


def test_a_change_of_what_is_in_force_is_on_record_under_the_writers_role(owner, writer, tmp_path):
    record(writer.url, "alice", journal_dir=tmp_path)
    for _ in range(2):
        record(writer.url, "alice", journal_dir=tmp_path, prices={"own/m": {"input": "1", "output": "2"}})
    assert [entry.metadata["what"] for entry in owner.controls("change")] == ["prices"]


def test_a_call_that_is_tried_again_moves_between_sums_under_the_writers_role(owner, writer, make_entry):
    writer.append("w", [make_entry(1, call_id="r1", status="error", error_type="overloaded")])
    writer.roll()
    writer.append("w", [make_entry(2, call_id="r1", attempt=1)], first_seq=2)
    writer.roll()
    assert owner.select("SELECT status, calls FROM audit_rollup_hour") == [("success", 1)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_entries SET cost_nano = 0",
        "UPDATE audit_entries SET restricted = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "UPDATE audit_batches SET entry_count = 0",
        "DELETE FROM audit_batches",
        "DELETE FROM audit_tiles",
        "UPDATE audit_checkpoints SET note = ''",
        "DELETE FROM audit_content",
        "DELETE FROM audit_data_keys",
        "UPDATE audit_data_keys SET wrapped = ''",
        "UPDATE audit_trail SET origin = 'x'",
        "DROP TABLE audit_entries",
        "UPDATE audit_rollup SET changes = 0",
        "DELETE FROM audit_settings",
    ],
)
def test_the_writers_role_cannot_change_or_remove_what_is_stored(writer, sql):
    assert refused(writer, sql)


@pytest.mark.parametrize(
    "column",
    ["session_id", "subject", "client_ip_hash", "input_hash", "output_hash", "error_message", "metadata", "salts", "*"],
)
def test_the_writers_role_does_not_see_what_rollups_do_not_need(writer, column):
    assert refused(writer, f"SELECT {column} FROM audit_entries")


@pytest.mark.parametrize("name", ["policy", "hold/1", "erasure/1", "retention/progress", "reads", "in_force2"])
def test_what_decides_about_removal_is_the_owners_alone(owner, writer, privacy_of, name):
    store = privacy_of(owner)
    assert refused(writer, f"INSERT INTO audit_settings VALUES ('{name}', '{{}}')")
    store.set_setting(name, {"a": 1})
    run_postgres(writer.url, f"UPDATE audit_settings SET value = '{{}}' WHERE name = '{name}'")
    assert store.settings(name) == {name: {"a": 1}}


def test_a_policy_that_the_role_may_not_keep_is_obeyed_by_the_process_and_not_said_to_be_changed(
    owner, writer, capfd, tmp_path
):
    for _ in range(2):
        record(writer.url, "alice", journal_dir=tmp_path, policy="hipaa")
    assert owner.controls("change") == []
    assert owner.select("SELECT count(*) FROM audit_settings WHERE name = 'policy'") == [(0,)]
    assert "auditmw.setting_not_kept" in capfd.readouterr().err


def test_a_policy_that_the_owner_keeps_is_obeyed_under_the_writers_role(
    owner, writer, make_entry, privacy_of, tmp_path
):
    privacy_of(owner).set_setting("policy", read_policy("hipaa").to_data())
    with AuditTrail(writer.url, journal_dir=tmp_path) as trail:
        with trail.call(action="ask", metadata={"team": "x"}):
            pass
        trail.sync.flush()
    assert [entry.metadata for entry in owner.entries()] == [None]


@pytest.fixture
def reader(owner, writer):
    """The same trail for a login that may only read, where every read is on record."""
    record(owner.url, "alice", reads="all")
    run_postgres(owner.url, f"GRANT audit_reader TO {LOGIN}")
    run_postgres(owner.url, f"REVOKE audit_writer FROM {LOGIN}")
    return writer


@pytest.mark.parametrize("command", [["query"], ["tail", "--no-follow"], ["report", "cost"]])
def test_who_may_only_read_is_told_what_a_read_on_record_needs(owner, reader, capsys, command):
    assert run([*command, "--db", reader.url]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "such a read is on record in this trail" in said.err
    assert "audit_reader and audit_writer" in said.err
    run_postgres(owner.url, f"GRANT audit_writer TO {LOGIN}")
    assert run([*command, "--db", reader.url]) == 0
    assert len(owner.controls("read")) == 1


def test_who_may_only_read_is_told_that_the_ledger_of_exports_is_the_owners(owner, reader, capsys):
    command = ["export", "--format", "jsonl", "--db", reader.url]
    assert run(command) == 1
    assert "leave that out with --no-record" in capsys.readouterr().err
    owner.change("DELETE FROM audit_settings WHERE name = 'reads'")
    assert run([*command, "--no-record"]) == 0
    assert "alice" in capsys.readouterr().out


def renew(trail):
    async def renew():
        db = await asyncpg.connect(trail.url)
        await renew_roles(db)
        await db.close()

    asyncio.run(renew())


def test_a_migration_grants_the_roles_what_a_new_schema_needs_where_they_are_used(owner, writer, make_entry):
    run_postgres(owner.url, "REVOKE ALL ON audit_rollup, audit_rollup_day FROM audit_writer")
    owner.append("w", [make_entry(1)])
    renew(owner)
    writer.roll()
    assert owner.rolled() == [("alice", 1)]


def test_a_migration_grants_nothing_where_the_roles_are_not_used(owner, writer):
    run_postgres(owner.url, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM audit_writer")
    renew(owner)
    assert refused(writer, "SELECT watermark FROM audit_rollup")


def test_roles_are_made_by_the_command_and_again_without_harm(owner, capsys):
    for _ in range(2):
        assert run(["migrate", "--db", owner.url, "--roles"]) == 0
    try:
        found = owner.select("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'audit\\_%' ORDER BY 1")
        assert found == [("audit_reader",), ("audit_writer",)]
    finally:
        run_postgres(owner.url, "DROP OWNED BY audit_writer, audit_reader")
        run_postgres(owner.url, "DROP ROLE audit_writer, audit_reader")
    assert capsys.readouterr().out == ""


def test_a_file_has_no_roles(tmp_path, capsys):
    assert run(["migrate", "--db", f"sqlite:///{tmp_path}/a.db", "--roles"]) == 3
    assert "only PostgreSQL has roles" in capsys.readouterr().err
