"""Faults between the writer and a real PostgreSQL: nothing is lost, nothing doubled, and it goes on by itself."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from importlib import resources

import asyncpg
import pytest

from auditmw import AuditTrail
from auditmw.verification import verify_trail

from .postgres import Postgres
from .proxy import Fate, Proxy


@pytest.fixture(scope="module")
def server():
    with Postgres() as server:
        yield server


@pytest.fixture
def proxy(server):
    with Proxy(server.socket) as proxy:
        yield proxy


@pytest.fixture
def database(server):
    """The name of a database of its own."""
    name = f"faults_{time.monotonic_ns()}"
    run(server, f"CREATE DATABASE {name}")
    yield name
    run(server, f"DROP DATABASE {name} WITH (FORCE)")


def run(server, statement, database="postgres"):
    async def ask():
        db = await asyncpg.connect(f"postgresql://postgres:@/{database}?host={server.folder}/data")
        try:
            return await db.fetch(statement)
        finally:
            await db.close()

    return asyncio.run(ask())


def direct(server, database):
    return f"postgresql://postgres:@/{database}?host={server.folder}/data"


def record(trail, count=7, **fields):
    ids = []
    for _ in range(count):
        with trail.call(action="a", **fields) as call:
            pass
        ids.append(call.request_id)
    return ids


def check(trail, made):
    """All that was made is stored, once, under complete numbers."""
    trail.sync.flush(60)
    entries = [entry for kind in (None, "control") for entry in trail.sync.query(kind=kind)]
    stored = Counter(entry.request_id for entry in entries if entry.kind != "control")
    assert stored == Counter(made)
    for writer in {entry.writer for entry in entries}:
        seqs = sorted(entry.seq for entry in entries if entry.writer == writer)
        assert seqs == list(range(1, len(seqs) + 1))
    assert not [entry for entry in entries if entry.action in {"lost", "set_aside", "drop"}]


def eventually(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.CUT_AFTER, Fate.HALF_CLOSE])
@pytest.mark.parametrize("at", [None, b"COPY", b"a test", b"COMMIT"], ids=["claim", "copy", "data", "commit"])
def test_a_connection_that_breaks_anywhere_lands_the_batch_once(proxy, database, tmp_path, fate, at):
    left = 3

    def decide(data):
        nonlocal left
        if not left or at not in data:
            return Fate.PASS
        left -= 1
        return fate

    made = []
    with AuditTrail(proxy.url(database), journal_dir=tmp_path) as trail:
        trail.sync.flush(20)
        at = at or trail.sink.writer.encode()
        proxy.decide = decide
        for _ in range(3):
            made += record(trail, model="a test")
            trail.sync.flush(20)
        assert left == 0
        assert trail.health().retried >= 3
        check(trail, made)


def test_a_server_that_answers_late_holds_up_no_call(proxy, database, tmp_path):
    with AuditTrail(proxy.url(database), journal_dir=tmp_path) as trail:
        proxy.delay = 0.005
        slowest, made = 0.0, []
        for _ in range(300):
            started = time.perf_counter()
            made += record(trail, 1)
            slowest = max(slowest, time.perf_counter() - started)
        check(trail, made)
    assert slowest < 0.25


def test_a_server_that_never_answers_again_is_given_up_and_the_batch_lands_once(proxy, database, tmp_path, monkeypatch):
    monkeypatch.setattr("auditmw.stores.postgres_connection.WRITE_SECONDS", 0.3)
    held = 2

    def decide(data):
        nonlocal held
        if not held or b"COMMIT" not in data:
            return Fate.PASS
        held -= 1
        return Fate.HOLD

    with AuditTrail(proxy.url(database), journal_dir=tmp_path) as trail:
        trail.sync.flush(20)
        proxy.decide = decide
        check(trail, record(trail))
    assert held == 0


def test_it_goes_on_at_once_when_the_server_can_be_reached_again(proxy, server, database, tmp_path):
    with AuditTrail(proxy.url(database), journal_dir=tmp_path) as trail:
        trail.sync.flush(20)
        proxy.refuses = True
        run(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        made = record(trail)
        eventually(lambda: trail.health().retried + proxy.connections > 8)  # by now it waits as long as it ever does
        assert trail.health().last_store_error
        proxy.refuses = False
        started = time.monotonic()
        eventually(lambda: trail.health().queue_entries == 0)
        assert time.monotonic() - started < 1.5
        check(trail, made)


def test_the_postmaster_killed_between_copy_and_commit_costs_nothing(proxy, server, tmp_path):
    """The database of the server itself, since dropping one needs it alive."""
    killed = []

    def decide(data):
        if killed or b"COMMIT" not in data:
            return Fate.PASS
        server.kill()
        killed.append(1)
        return Fate.CUT

    with AuditTrail(proxy.url(), journal_dir=tmp_path) as trail:
        made = record(trail)
        trail.sync.flush(20)
        proxy.decide = decide
        made += record(trail)
        eventually(lambda: killed)
        made += record(trail)
        server.start()
        check(trail, made)
    assert verify_trail(direct(server, "postgres")).verdict == "self-consistent"


def test_a_flush_outlasts_a_restart_of_the_server(server, database, tmp_path):
    with AuditTrail(direct(server, database), journal_dir=tmp_path) as trail:
        trail.sync.flush(20)
        server.stop()
        made = record(trail)
        flushed = trail.flushed()
        eventually(lambda: trail.health().last_store_error)
        server.start()
        flushed.result(30)
        check(trail, made)


@pytest.fixture
def writer_url(server, database):
    """The URL of a login that may do what a writer does, on a database that its owner has migrated."""
    with AuditTrail(direct(server, database), durability="memory") as owner:
        owner.sync.flush(20)
    roles = resources.files("auditmw.stores").joinpath("sql/postgres/roles.sql").read_text()

    async def grant():
        db = await asyncpg.connect(direct(server, database))
        await db.execute(roles)
        await db.execute("DROP ROLE IF EXISTS application")
        await db.execute("CREATE ROLE application LOGIN; GRANT audit_writer TO application")
        await db.close()

    asyncio.run(grant())
    yield direct(server, database).replace("postgres:@", "application:@")
    with suppress(asyncpg.PostgresError):
        run(server, "ALTER ROLE application NOLOGIN")


def test_revoked_privileges_are_named_and_cost_nothing_once_they_are_back(server, database, writer_url, tmp_path):
    with AuditTrail(writer_url, journal_dir=tmp_path) as trail:
        made = record(trail)
        trail.sync.flush(20)
        run(server, "REVOKE INSERT ON audit_entries FROM audit_writer", database)
        made += record(trail)
        eventually(lambda: trail.health().last_store_error)
        assert "grant audit_writer" in trail.health().last_store_error
        assert trail.health().set_aside == 0
        run(server, "GRANT INSERT ON audit_entries TO audit_writer", database)
        trail.sync.flush(20)
    with AuditTrail(direct(server, database), journal_dir=tmp_path) as reader:
        check(reader, made)


def test_a_login_that_is_refused_for_a_while_sets_nothing_aside(server, database, writer_url, tmp_path):
    with AuditTrail(writer_url, journal_dir=tmp_path) as trail:
        made = record(trail)
        trail.sync.flush(20)
        run(server, "ALTER ROLE application NOLOGIN")
        run(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'application'")
        made += record(trail)
        eventually(lambda: trail.health().last_store_error)
        run(server, "ALTER ROLE application LOGIN")
        trail.sync.flush(20)
        assert trail.health().set_aside == 0
    with AuditTrail(direct(server, database), journal_dir=tmp_path) as reader:
        check(reader, made)


def test_a_writer_recovers_the_dead_with_a_writers_rights_alone(writer_url, server, database, tmp_path):
    program = (
        "import os, sys\nfrom auditmw import AuditTrail\ntrail = AuditTrail(sys.argv[1], journal_dir=sys.argv[2])\n"
        "trail.call(action='open').__enter__()\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, writer_url, str(tmp_path)], check=True)
    with AuditTrail(writer_url, journal_dir=tmp_path) as trail:
        trail.sync.flush(20)
        assert trail.health().interrupted == 1
    with AuditTrail(direct(server, database), journal_dir=tmp_path) as reader:
        assert [entry.status for entry in reader.sync.query()] == ["interrupted"]


def test_what_a_trigger_refuses_is_set_aside_and_the_rest_goes_on(server, database, tmp_path):
    with AuditTrail(direct(server, database), journal_dir=tmp_path) as trail:
        made = record(trail)
        trail.sync.flush(20)
        run(
            server,
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not him'; END $$",
            database,
        )
        run(
            server,
            "CREATE TRIGGER refuse BEFORE INSERT ON audit_entries FOR EACH ROW WHEN (new.user_id = 'mallory') "
            "EXECUTE FUNCTION refuse()",
            database,
        )
        made += record(trail, 3)
        refused = record(trail, 2, user_id="mallory")
        made += record(trail, 3)
        trail.sync.flush(20)
        assert {entry.request_id for entry in trail.sync.query()} == set(made)
        aside = list(trail.sync.query(kind="control", action="set_aside"))
        assert [entry.request_id for entry in aside] == refused
        assert "not him" in aside[0].metadata["error"]
        assert trail.health().set_aside == 2


@pytest.fixture
def pgbouncer(server, database, tmp_path):
    """A pgbouncer in transaction mode before the server."""
    command = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not os.access(command, os.X_OK):
        pytest.skip("pgbouncer is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = tmp_path / "pgbouncer"
    home.mkdir()
    (home / "users.txt").write_text('"postgres" ""\n')
    (home / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host={server.folder}/data dbname={database} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"auth_file = {home}/users.txt\npool_mode = transaction\ndefault_pool_size = 2\n"
    )
    options = {}
    if os.geteuid() == 0:  # it refuses to run as root
        nobody = pwd.getpwnam("nobody")
        options = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        for place in (home, *home.parents, server.folder, server.folder / "data"):
            if place.stat().st_uid == 0 and place.stat().st_mode & 0o005 != 0o005:
                place.chmod(place.stat().st_mode | 0o005)
        (server.folder / "data").chmod(0o750)
        os.chown(server.folder / "data", -1, nobody.pw_gid)
    process = subprocess.Popen([command, str(home / "pgbouncer.ini")], stderr=subprocess.DEVNULL, **options)
    try:
        eventually(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None
        yield f"postgresql://postgres:@127.0.0.1:{port}/{database}?statement_cache_size=0"
    finally:
        process.terminate()
        process.wait()


def answers(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_several_trails_share_two_connections_of_a_pgbouncer_in_transaction_mode(pgbouncer, tmp_path):
    made = []
    trails = [AuditTrail(pgbouncer, journal_dir=tmp_path / "journal") for _ in range(4)]
    for _ in range(5):
        for trail in trails:
            made += record(trail, 3)
        trails[0].sync.flush(20)
    for trail in trails[1:]:
        trail.close(20)
    check(trails[0], made)
    trails[0].close()
    assert verify_trail(pgbouncer).verdict == "self-consistent"
