"""Fixtures for pytest. A line in your `conftest.py` makes them known: `pytest_plugins = ["auditmw.testing.fixtures"]`.

They are no plugin that pytest finds by itself: not every test run of an environment should load them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditmw.globals import configured
from auditmw.testing.provider import StandInProvider
from auditmw.testing.trail import MemoryTrail


@pytest.fixture
def audit_trail() -> Iterator[MemoryTrail]:
    """A trail in memory, `audit_trail.entries()` being what it recorded.

    While the test runs, bare `@audited` functions record there too, whatever the application configured.
    """
    with MemoryTrail() as trail, configured.instead(trail):
        yield trail


@pytest.fixture
def stand_in_provider() -> Iterator[StandInProvider]:
    """A provider on loopback, for the real SDKs: see `auditmw.testing.StandInProvider`."""
    with StandInProvider() as provider:
        yield provider
