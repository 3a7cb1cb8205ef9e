"""Retention beside an application: swept by the hour, in a thread, with what is wrong in its health."""

from __future__ import annotations

import os
from math import inf

import anyio

from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.errors import AuditError, ConfigurationError
from auditmw.health import Health
from auditmw.log.keys import Signer
from auditmw.privacy.control import ControlLog
from auditmw.privacy.sweep import Sweep, overdue
from auditmw.stores.privacy import open_privacy

OVERDUE = "ceilings of the retention policy are overdue by more than a day: see `auditmw retain --dry-run`"
SWEEP_SECONDS = 60.0


async def keep_retained(
    url: str,
    health: Health,
    clock: Clock,
    every: float,
    *,
    signing_key: str | os.PathLike[str] | Signer | None = None,
    times: float = inf,
) -> None:
    """Sweep the trail at `url` so many times, every so many seconds.

    Raises:
        ConfigurationError: the trail has no policy, or no database.
    """
    warned: set[str] = set()
    while times > 0:
        times -= 1
        found = await anyio.to_thread.run_sync(_sweep, url, clock, signing_key, abandon_on_cancel=False)
        health.warnings[:] = [warning for warning in health.warnings if warning not in warned] + sorted(found)
        warned = found
        if times > 0:
            await anyio.sleep(every)


def _sweep(url: str, clock: Clock, signing_key: str | os.PathLike[str] | Signer | None) -> set[str]:
    """One sweep; returns what an operator has to know."""
    store = open_privacy(url)
    warnings = set()
    try:
        with ControlLog(url, clock=clock, signing_key=signing_key) as log:
            Sweep(log, store, seconds=SWEEP_SECONDS).run()
    except ConfigurationError:
        raise
    except AuditError as error:  # the next sweep tries again, and a person can look meanwhile
        report("auditmw.not_retained", error=str(error))
        warnings.add(f"retention did not run: {error}")
    try:
        if overdue(store, clock.now_us()):
            warnings.add(OVERDUE)
    finally:
        store.close()
    return warnings
