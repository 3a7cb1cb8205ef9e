"""`auditmw ship`: the writer as a process of its own, beside applications with `writer="external"`."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from auditmw.cli import DONE
from auditmw.cli.opening import DatabaseOption, required
from auditmw.cli.output import say
from auditmw.errors import ConfigurationError
from auditmw.health import Health
from auditmw.locations import journal_directory
from auditmw.shipping import Shipper
from auditmw.signing import make_signing
from auditmw.stores import store_for

EXAMPLES: Final = (
    "auditmw ship --db postgresql://writer@db/audit --journal-dir /var/lib/app/journal",
    "auditmw ship --db sqlite:///audit.db --once   [dim]# what is there now, then end[/dim]",
)
SAY_EVERY: Final = 10_000


def ship(
    db: DatabaseOption = None,
    journal_dir: Annotated[
        Path | None,
        typer.Option(envvar="AUDITMW_JOURNAL_DIR", help="What the applications journal to.", show_default="as theirs"),
    ] = None,
    once: Annotated[bool, typer.Option(help="End when everything that is there is stored.")] = False,
) -> int:
    """Follow the journals of all processes on this host and move their entries into the store.

    Applications that were given writer="external" only append to their journals. This process may be killed and started
    at any time: nothing is lost and nothing is stored twice. It ends on SIGTERM or Ctrl-C.
    """
    url = required(db)
    directory = journal_directory(url, journal_dir, os.environ)
    if directory is None:
        raise ConfigurationError("a trail in memory has no journal to ship: name a database with --db")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = store_for(url)
    shipper = Shipper(store, directory, signing=lambda health: make_signing(store, url, directory, health))
    said = 0

    def progress(health: Health) -> None:
        nonlocal said
        if health.written - said >= SAY_EVERY:
            said = health.written
            say(f"{health.written:,} entries stored")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, shipper.stop)
        say(f"following the journals in {directory}")
        await shipper.run(once=once, on_progress=progress)

    asyncio.run(run())
    health = shipper.health
    say(f"{health.written:,} entries stored, {health.recovered:,} of them from processes that had died")
    return DONE
