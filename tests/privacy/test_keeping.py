"""Retention beside an application."""

import asyncio
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.errors import ConfigurationError, StoreUnavailable
from auditmw.health import Health
from auditmw.privacy.changes import set_policy
from auditmw.privacy.keeping import keep_retained
from auditmw.privacy.policy import Policy, read_policy
from auditmw.privacy.watch import EVERY_SECONDS, OVERDUE, Watch
from auditmw.stores import store_for
from auditmw.testing import FakeClock

LATER = FakeClock(datetime.now(UTC) + timedelta(days=100))


def sweep(trail, health, clock, times=1):
    anyio.run(lambda: keep_retained(trail.url, health, clock, 0, times=times))


def test_a_clock_that_jumped_and_what_is_overdue_show_in_health_until_they_are_gone(trail, make_entry, log, privacy):
    trail.append("w", [make_entry(1)])
    set_policy(log, privacy, read_policy("standard"))
    health = Health(warnings=["another"])
    sweep(trail, health, LATER)
    assert health.warnings[0] == "another"
    assert OVERDUE in health.warnings
    assert any("retention did not run" in warning for warning in health.warnings)
    assert trail.entries()[0].metadata is not None


def test_warnings_go_when_what_they_say_has_gone(trail, make_entry, log, privacy):
    trail.append("w", [make_entry(1)])
    set_policy(log, privacy, read_policy("standard"))
    health = Health()
    sweep(trail, health, FakeClock(datetime.now(UTC)), times=2)
    assert health.warnings == []
    assert privacy.settings("retention/last")


async def test_a_service_without_a_policy_hears_of_it(tmp_path):
    async with AuditTrail(f"sqlite:///{tmp_path}/a.db") as trail:
        with pytest.raises(ConfigurationError, match="no policy"):
            await trail.retention_task()


async def test_a_service_runs_it_in_its_lifespan(tmp_path):
    async with AuditTrail(f"sqlite:///{tmp_path}/a.db", policy="standard") as trail, anyio.create_task_group() as tasks:
        tasks.start_soon(trail.retention_task)
        await trail.flush()
        tasks.cancel_scope.cancel()
    assert trail.health().warnings == []


# --- without any sweep ------------------------------------------------------------------------------------------------


@pytest.fixture
def expired(trail, make_entry, log, privacy):
    """A trail of which something has been due for ten days, seen by `LATER`."""
    trail.append("w", [make_entry(1)])
    set_policy(log, privacy, read_policy("standard"))
    return trail


def test_what_is_overdue_shows_in_the_health_of_a_process_that_never_sweeps(expired):
    with AuditTrail(expired.url, clock=LATER) as trail:
        trail.sync.flush()
    assert trail.health().warnings == [OVERDUE]
    assert not trail.health().ok


def test_nothing_is_said_where_nothing_is_due_or_no_policy_is_set(trail, make_entry, log, privacy):
    trail.append("w", [make_entry(1)])
    for clock, policy in ((LATER, None), (None, "standard")):
        with AuditTrail(trail.url, clock=clock, policy=policy) as audit:
            audit.sync.flush()
        assert audit.health().warnings == []


async def look(trail, health, clock, steps=1):
    """Lets a watch look so many times, an hour apart; gives when it wants to be called again."""
    store = store_for(trail.url)
    await store.open(read_only=True)
    watch = Watch(trail.url, store, health, clock, asyncio.Lock())
    for _ in range(steps):
        seconds = await watch.step()
        await watch.close()
        yield seconds
    await store.close()


def test_the_warning_goes_within_the_hour_when_nothing_is_overdue_any_more(expired, log, privacy):
    clock, health = FakeClock(datetime.now(UTC) + timedelta(days=100)), Health()

    async def run():
        seen = []
        async for seconds in look(expired, health, clock, steps=3):
            seen.append((seconds, health.warnings == [OVERDUE]))
            if len(seen) == 1:
                await asyncio.to_thread(set_policy, log, privacy, Policy("keeps all"))
            else:
                clock.advance(seconds)
        return seen

    assert asyncio.run(run()) == [(EVERY_SECONDS, True), (EVERY_SECONDS, True), (EVERY_SECONDS, False)]


def test_a_store_that_cannot_be_asked_is_said_and_asked_again(expired, monkeypatch, capsys):
    def fail(_url):
        raise StoreUnavailable("not now")

    monkeypatch.setattr("auditmw.privacy.watch.open_privacy", fail)
    health = Health()

    async def run():
        return [seconds async for seconds in look(expired, health, LATER)]

    assert asyncio.run(run()) == [EVERY_SECONDS]
    assert health.warnings == []
    assert "overdue_unknown" in capsys.readouterr().err
