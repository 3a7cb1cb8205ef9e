"""`auditmw rollups`: the sums that reports read."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from auditmw.cli import DONE
from auditmw.cli.opening import DatabaseOption, require_trail, required
from auditmw.cli.output import say
from auditmw.errors import ConfigurationError
from auditmw.rolling import roll
from auditmw.stores import store_for
from auditmw.stores.privacy import open_privacy
from auditmw.stores.rollup_view import Extent
from auditmw.stores.rollups import Rollups

EXAMPLES: Final = (
    "auditmw rollups update     [dim]# what the writer may not do, where it may not read entries[/dim]",
    "auditmw rollups rebuild    [dim]# from the first entry that is there; reports stay right meanwhile[/dim]",
)


class Action(StrEnum):
    """What to do."""

    update = "update"
    rebuild = "rebuild"


def rollups(
    action: Annotated[Action, typer.Argument(help="Go on from where they are, or make them anew.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Rebuild though entries have gone, and with them their sums will.")
    ] = False,
    db: DatabaseOption = None,
) -> int:
    """Bring the rollups up to the newest entry."""
    url = required(db)
    require_trail(url)
    if action is Action.rebuild and not yes:
        _require_all_entries(url)
    rolled = asyncio.run(_run(url, anew=action is Action.rebuild))
    say(f"{rolled:,} entries were rolled up; reports read sums now")
    return DONE


def _require_all_entries(url: str) -> None:
    store = open_privacy(url)
    try:
        first = store.first_leaf()
    finally:
        store.close()
    if first:
        raise ConfigurationError(
            f"retention has removed the first {first:,} entries of this trail, and their sums cannot be made again: "
            "calls and costs of that time would be gone from every report. If that is meant, give --yes"
        )


async def _run(url: str, *, anew: bool) -> int:
    store = store_for(url)
    if store.rollups is None:
        raise ConfigurationError("only SQLite and PostgreSQL keep rollups; reports read this trail entry by entry")
    await store.open()
    try:
        if anew:
            await store.rollups.clear()
        return await _roll_all(store.rollups)
    finally:
        await store.close()


async def _roll_all(rollups: Rollups) -> int:
    extent = await _extent(rollups)
    rolled = 0
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rolling up", total=extent.size - extent.watermark)
        while step := await roll(rollups):
            rolled += step
            progress.advance(task, step)
    return rolled


async def _extent(rollups: Rollups) -> Extent:
    async with rollups.view() as view:
        return await view.extent()
