"""Retention beside an application: swept by the hour, in a thread, with what is wrong in its health."""

from __future__ import annotations

import os
from contextlib import closing
from math import inf
from typing import NamedTuple

import anyio

from auditmw.clock import Clock
from auditmw.diagnostics import report
from auditmw.errors import AuditError, ConfigurationError
from auditmw.health import Health
from auditmw.log.keys import Signer
from auditmw.privacy.control import ControlLog
from auditmw.privacy.due import overdue
from auditmw.privacy.sweep import Sweep
from auditmw.privacy.watch import OVERDUE
from auditmw.stores.privacy import open_privacy

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
    failed: str | None = None
    while times > 0:
        times -= 1
        swept = await anyio.to_thread.run_sync(_sweep, url, clock, signing_key, abandon_on_cancel=False)
        if failed is not None:
            health.warn(failed, on=False)
        if (failed := swept.failed) is not None:
            health.warn(failed, on=True)
        health.warn(OVERDUE, on=swept.overdue)
        if times > 0:
            await anyio.sleep(every)


class _Outcome(NamedTuple):
    """What an operator has to know of a sweep: why it did not run, and whether something is overdue after it."""

    failed: str | None
    overdue: bool


def _sweep(url: str, clock: Clock, signing_key: str | os.PathLike[str] | Signer | None) -> _Outcome:
    failed = None
    with closing(open_privacy(url)) as store:
        try:
            with ControlLog(url, clock=clock, signing_key=signing_key) as log:
                Sweep(log, store, seconds=SWEEP_SECONDS).run()
        except ConfigurationError:
            raise
        except AuditError as error:  # the next sweep tries again, and a person can look meanwhile
            report("auditmw.not_retained", error=str(error))
            failed = f"retention did not run: {error}"
        return _Outcome(failed, overdue(store, clock.now_us()))
