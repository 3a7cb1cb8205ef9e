"""Months of a PostgreSQL trail, which go as partitions: when, with what, beside whom, and after a kill."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tests.privacy.conftest import Trail, run_postgres

from auditmw.call import Call
from auditmw.errors import StoreUnavailable
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.holds import add_hold, release_hold
from auditmw.privacy.policy import Bounds, Policy
from auditmw.privacy.sweep import Sweep
from auditmw.privacy.vault import LocalKey, Vault
from auditmw.stores import postgres_pruning
from auditmw.stores.partitions import months_needed
from auditmw.stores.privacy import open_privacy
from auditmw.testing import FakeClock

POLICY = Policy("short", classes={"core": Bounds(gone="30 days")})
FIRST, SECOND, THIRD, _ = months_needed(datetime.now(UTC))
VAULT = Vault(LocalKey(bytes(32)))


@pytest.fixture
def trail(postgres_url, make_entry):
    """Ten entries with content in each of three months: in the first today, then on the 10th, the last five later."""
    trail = Trail(postgres_url)

    def make(number):
        call = Call(request_id=f"r{number}", timestamp_us=0, user_id="alice")
        return make_entry(number, content=VAULT.seal(call, {"request": f"r{number}"}))

    trail.append("w", [make(n) for n in range(10)])
    moments = [month.start + timedelta(days=day) for month in (SECOND, THIRD) for day in (9, 19)]
    for first, moment in zip(range(10, 30, 5), moments, strict=True):
        trail.change(f"UPDATE audit_trail SET stored_at = '{moment}'")
        trail.append(f"w{first}", [make(n) for n in range(first, first + 5)])
    with ControlLog(trail.url) as log:
        store = open_privacy(trail.url)
        set_policy(log, store, POLICY)
        store.close()
    return trail


def sweep(trail, day):
    """Sweep as on that day."""
    store = open_privacy(trail.url)
    try:
        with ControlLog(trail.url, clock=FakeClock(day)) as log:
            return Sweep(log, store, confirmed=True).run()
    finally:
        store.close()


def tables(trail):
    sql = (
        r"SELECT relname::text FROM pg_class WHERE relname ~ '^audit_entries_\d{4}_\d{2}$' AND relkind = 'r' ORDER BY 1"
    )
    return {name for (name,) in trail.select(sql)}


def left(trail):
    return [entry.request_id for entry in trail.entries()]


def of_months(*months):
    return [f"r{10 * month + n}" for month in months for n in range(10)]


HALF_OF_SECOND_GONE = SECOND.start + timedelta(days=9 + 31)
SECOND_GONE = SECOND.start + timedelta(days=19 + 31)
THIRD_GONE = THIRD.start + timedelta(days=19 + 31)


def test_a_month_goes_with_all_that_was_in_it_and_the_next_goes_on(trail):
    swept = sweep(trail, SECOND.start + timedelta(days=35))
    assert (swept.removed, swept.done) == (10, True)
    assert FIRST.table not in tables(trail)
    assert left(trail) == of_months(1, 2)
    assert trail.select("SELECT min(leaf_index), count(*) FROM audit_content") == [(10, 20)]
    assert trail.verify().findings == []


def test_a_month_in_which_anything_stays_is_not_dropped(trail):
    sweep(trail, HALF_OF_SECOND_GONE)
    assert SECOND.table in tables(trail)
    assert left(trail) == [f"r{n}" for n in range(15, 30)]
    assert trail.verify().findings == []
    sweep(trail, SECOND_GONE)
    assert SECOND.table not in tables(trail)
    assert left(trail) == of_months(2)
    sweep(trail, THIRD_GONE)
    assert THIRD.table in tables(trail)  # entries are still stored in it
    assert left(trail) == []
    assert trail.verify().findings == []


def test_a_hold_in_a_month_keeps_its_table_and_all_after_it_until_it_is_released(trail):
    store = open_privacy(trail.url)
    with ControlLog(trail.url) as log:
        hold = add_hold(log, store, "claim", session_id="session-14")
        sweep(trail, THIRD_GONE)
        assert FIRST.table not in tables(trail)
        assert left(trail) == [f"r{n}" for n in range(14, 30)]
        assert trail.verify().findings == []
        release_hold(log, store, hold.id)
    store.close()
    sweep(trail, THIRD_GONE)
    assert SECOND.table not in tables(trail)
    assert left(trail) == []
    report = trail.verify()
    assert (report.verdict, report.findings) == ("self-consistent", [])


def test_a_long_read_puts_a_month_off_and_holds_up_nobody_who_writes(trail, make_entry, monkeypatch):
    monkeypatch.setattr(postgres_pruning, "_WAIT_MS", 300)

    async def read_while(work):
        db = await asyncpg.connect(trail.url)
        async with db.transaction():
            await db.fetch("SELECT count(*) FROM audit_entries")
            found = await asyncio.to_thread(work)
        await db.close()
        return found

    def swept():
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            sweep(trail, SECOND.start + timedelta(days=35))
        trail.append("beside", [make_entry(99)])
        return left(trail), trail.verify().findings

    assert asyncio.run(read_while(swept)) == ([*of_months(1, 2), "r99"], [])
    assert trail.select(f"SELECT count(*) FROM {FIRST.table}") == [(10,)]
    sweep(trail, SECOND.start + timedelta(days=35))
    assert FIRST.table not in tables(trail)
    assert left(trail) == [*of_months(1, 2), "r99"]


KILLED = """
import os, signal, sys
from auditmw.stores.privacy import open_privacy

left = int(sys.argv[2])
def count(record):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
store = open_privacy(sys.argv[1])
store._db.add_query_logger(count)
while store.delete_before(15, 7) is not None:
    pass
"""


def test_a_removal_killed_after_any_of_its_statements_is_finished_by_the_next(trail, postgres_server):
    """Each kill on a copy of the trail, whose cut at leaf 15 is declared."""
    store = open_privacy(trail.url)
    with ControlLog(trail.url, clock=FakeClock(HALF_OF_SECOND_GONE)) as log:
        Sweep(log, store, confirmed=True, seconds=0).run()
    store.close()
    name = urlsplit(trail.url).path[1:]
    killed = set()
    for number in range(100):
        run_postgres(postgres_server, f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        copy = Trail(urlunsplit(urlsplit(trail.url)._replace(path=f"/{name}_copy")))
        try:
            done = subprocess.run([sys.executable, "-c", KILLED, copy.url, str(number)], capture_output=True, text=True)
            assert done.returncode in {0, -9}, done.stderr
            assert copy.verify().findings == []
            killed.add(state(copy))
            store = open_privacy(copy.url)
            while store.delete_before(15, 7) is not None:
                pass
            store.close()
            assert left(copy) == [f"r{n}" for n in range(15, 30)]
            assert FIRST.table not in tables(copy)
            assert copy.select("SELECT min(leaf_index), count(*) FROM audit_content") == [(15, 15)]
            assert copy.verify().findings == []
        finally:
            run_postgres(postgres_server, f"DROP DATABASE {name}_copy WITH (FORCE)")
        if done.returncode == 0:
            break
    assert {("attached", 10), ("detached", 10), ("gone", 10), ("gone", 3), ("gone", 0)} <= killed


def state(trail):
    """How far a killed run came: the first month's table, and how much of the first month's content is there."""
    ((attached,),) = trail.select(f"SELECT count(*) FROM pg_inherits WHERE inhrelid = to_regclass('{FIRST.table}')")
    ((content,),) = trail.select("SELECT count(*) FROM audit_content WHERE leaf_index < 10")
    return "attached" if attached else "detached" if FIRST.table in tables(trail) else "gone", content
