"""Names in the rollups go with those in the entries: for everybody, week by week, beside whoever writes."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from auditmw.entry import to_us
from auditmw.privacy.changes import set_policy
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.holds import add_hold
from auditmw.privacy.person import Person
from auditmw.privacy.policy import Bounds, Policy
from auditmw.privacy.sweep import Sweep
from auditmw.stores.rollup_view import RollupView
from auditmw.testing import FakeClock

NOW = datetime.now(UTC)
POLICY = Policy("short", classes={"who": Bounds(gone="10 days")})
SUMS_OF_WEEKS = (
    "SELECT week, tenant, user_id, model, calls, tokens, squares, sizes FROM audit_rollup_week ORDER BY 1, 2, 3"
)
"""Not the largest calls, of which a cell keeps a few: a part of it may have had others."""
TABLES = {name: f"SELECT * FROM audit_rollup_{name} ORDER BY 1, 2, 3, 4, 5" for name in ("day", "user", "hour", "week")}


def cells(trail, **tables):
    return {name: trail.select(sql) for name, sql in (TABLES | tables).items()}


def rebuilt(trail, **tables):
    """The cells as the entries give them."""
    for table in (*TABLES, None):
        trail.change(f"DELETE FROM audit_rollup_{table}" if table else "UPDATE audit_rollup SET watermark = 0")
    trail.roll()
    return cells(trail, **tables)


@pytest.fixture
def entries(trail, make_entry):
    """Calls of three people in four weeks and two tenants; some are tried twice."""

    def make(number):
        again = number % 7 == 6
        return make_entry(
            number,
            call_id=f"r{number - 1}" if again else f"r{number}",
            attempt=int(again),
            timestamp_us=to_us(NOW - timedelta(hours=7 * (number - again))),
            user_id=["alice", "bob", "carol"][(number - again) % 3],
            tenant="acme" if number - again < 50 else None,
            input_tokens=100 * number,
            latency_us=1000 * number,
        )

    trail.append("w", [make(number) for number in range(90)])
    trail.roll()
    return trail.entries()


@pytest.fixture
def swept(log, privacy):
    set_policy(log, privacy, POLICY)

    def swept(days=12, **options):
        log.clock = FakeClock(NOW + timedelta(days=days))
        return Sweep(log, privacy, confirmed=True, **options).run()

    return swept


def named(trail):
    sql = "SELECT user_id FROM audit_rollup_{} WHERE user_id <> ''"
    return {user for table in ("day", "user", "week") for (user,) in trail.select(sql.format(table))}


def test_cells_are_those_that_the_entries_without_names_give(trail, entries, swept):
    assert named(trail) == {"alice", "bob", "carol"}
    swept()
    assert named(trail) == set()
    assert cells(trail) == rebuilt(trail)


def test_a_name_that_a_hold_keeps_in_entries_stays_in_their_cells(trail, entries, swept, log, privacy):
    add_hold(log, privacy, "claim", user_id="carol", until=NOW - timedelta(days=9))
    swept()
    assert named(trail) == {"carol"}
    assert cells(trail, week=SUMS_OF_WEEKS) == rebuilt(trail, week=SUMS_OF_WEEKS)


def test_names_of_days_that_have_not_expired_stay(trail, entries, swept):
    swept(9)
    assert named(trail) == {"alice", "bob", "carol"}


def test_a_sweep_that_ended_before_the_names_had_gone_is_finished_by_the_next(trail, entries, swept):
    def step(name):
        if name == "rollups":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        swept(on_step=step)
    assert {entry.user_id for entry in trail.entries()} == {None}
    assert named(trail) != set()
    assert swept().done
    assert named(trail) == set()


def beside(monkeypatch, reading, *todo):
    """Does these things, one at each, when entries of somebody were read by this method."""
    read, left = getattr(RollupView, reading), list(todo)

    async def read_while_something_is_done(*arguments, **options):
        found = await read(*arguments, **options)
        if left and (options.get("user_id") or options.get("named")):
            await asyncio.to_thread(left.pop(0))
        return found

    monkeypatch.setattr(RollupView, reading, read_while_something_is_done)


@pytest.fixture
def come_again(trail, make_entry):
    """What stores a call of alice's of twenty days ago, and rolls it up."""

    def come_again(number):
        trail.append(f"late{number}", [make_entry(number, timestamp_us=to_us(NOW - timedelta(days=20)))])
        trail.roll()

    return lambda number: partial(come_again, number)


def test_what_is_rolled_up_meanwhile_is_not_lost(trail, entries, swept, come_again, monkeypatch):
    beside(monkeypatch, "cells_of_days", come_again(900), come_again(901))
    assert swept().done
    assert named(trail) == {"alice"}  # who was stored after the sweep had begun
    assert len(trail.entries(user_id="alice")) == 2
    assert cells(trail, week=SUMS_OF_WEEKS) == rebuilt(trail, week=SUMS_OF_WEEKS)


@pytest.fixture
def erased(log, privacy):
    return lambda: Erasure(log, privacy, wait_seconds=1).run(Person(user_id="alice")).answer


def test_no_writer_waits_while_the_entries_of_an_erased_person_are_read(trail, entries, erased, monkeypatch):
    beside(monkeypatch, "during", lambda: trail.change("UPDATE audit_trail SET origin = origin"))
    assert erased() == "erased"
    assert named(trail) == {"bob", "carol"}
    assert cells(trail, week=SUMS_OF_WEEKS) == rebuilt(trail, week=SUMS_OF_WEEKS)


def test_what_an_erased_person_does_meanwhile_is_rolled_up_and_not_lost(
    trail, entries, erased, come_again, monkeypatch
):
    beside(monkeypatch, "during", come_again(900))
    assert erased() == "erased"
    assert named(trail) == {"alice", "bob", "carol"}
    assert len(trail.entries(user_id="alice")) == 1
    assert cells(trail, week=SUMS_OF_WEEKS) == rebuilt(trail, week=SUMS_OF_WEEKS)
