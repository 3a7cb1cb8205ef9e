"""Retention beside an application."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.errors import ConfigurationError
from auditmw.health import Health
from auditmw.privacy.changes import set_policy
from auditmw.privacy.keeping import OVERDUE, keep_retained
from auditmw.privacy.policy import read_policy
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
