from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from auditmw import AuditEntry, AuditTrail
from auditmw.middleware import Writer, default_pipeline

Stored = Callable[..., list[AuditEntry]]


def entries_of(trail: AuditTrail, **wanted: Any) -> list[AuditEntry]:
    """All entries that are stored once the writer has caught up."""
    trail.sync.flush(10)
    return list(trail.sync.query(**wanted))


@pytest.fixture
def trail() -> Iterator[AuditTrail]:
    with AuditTrail("memory://") as running:
        yield running


@pytest.fixture
def stored(trail: AuditTrail) -> Stored:
    return lambda **wanted: entries_of(trail, **wanted)


@pytest.fixture
def trail_with() -> Iterator[Callable[..., AuditTrail]]:
    """A trail whose pipeline is Writer() and these, or the default one and these."""
    with ExitStack() as stack:

        def make(*middlewares: Any, default: bool = False, **options: Any) -> AuditTrail:
            pipeline = [*(default_pipeline() if default else [Writer()]), *middlewares]
            return stack.enter_context(AuditTrail("memory://", pipeline=pipeline, **options))

        yield make
