"""`auditmw retain`: remove what has expired under the trail's policy."""

from __future__ import annotations

import re
import time
from typing import Annotated, Final

import msgspec
import typer

from auditmw.cli import DONE
from auditmw.cli.asking import confirm
from auditmw.cli.opening import DatabaseOption, required
from auditmw.cli.output import Format, console, say, table, write_rows
from auditmw.cli.reads import ActorOption
from auditmw.errors import ClockJumped, ConfigurationError
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.job import Swept
from auditmw.privacy.policy import Policy, read_policy
from auditmw.privacy.sweep import Sweep
from auditmw.reports.columns import Column
from auditmw.stores.privacy import PrivacyStore, open_privacy

EXAMPLES: Final = (
    "auditmw retain --policy standard        [dim]# choose the policy, and sweep under it[/dim]",
    "auditmw retain --dry-run                [dim]# what would go now, by class and month[/dim]",
    "auditmw retain --dry-run --policy hipaa [dim]# what would go under another policy[/dim]",
    "auditmw retain --every 1h",
)
_EVERY: Final = re.compile(r"(\d{1,5})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
COLUMNS: Final = (
    Column("field_class", "class", "class", leads=True),
    Column("month", "month", "stored in", leads=True),
    Column("entries", "entries", "entries", "count"),
)


class Line(msgspec.Struct, frozen=True):
    """How much of a class would go."""

    field_class: str
    month: str
    entries: int


def retain(
    policy: Annotated[
        str | None,
        typer.Option("--policy", help="Set the trail's policy first: standard, hipaa, or a TOML file of your own."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")] = False,
    every: Annotated[str | None, typer.Option("--every", metavar="1h", help="Go on, and sweep so often.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="How long one sweep may take; the next goes on.")] = 600.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="The clock is right, however far it has moved.")] = False,
    actor: ActorOption = None,
    db: DatabaseOption = None,
    form: Annotated[Format, typer.Option("--format", help="How to show a dry run.")] = Format.table,
) -> int:
    """Remove what has expired: whole entries from the beginning of the log, and field classes before that.

    Holds and floors are kept. What goes is declared in the log first, so that the rest still verifies.
    """
    url = required(db)
    pause = None if every is None else _seconds(every)
    store = open_privacy(url)
    try:
        if policy is not None and not dry_run:
            with ControlLog(url, actor=actor) as log:
                set_policy(log, store, read_policy(policy))
        if dry_run:
            _show(url, store, form, None if policy is None else read_policy(policy))
            return DONE
        while True:
            _sweep(url, store, actor, seconds, yes=yes)
            if pause is None:
                return DONE
            time.sleep(pause)
    except KeyboardInterrupt:
        return DONE
    finally:
        store.close()


def _sweep(url: str, store: PrivacyStore, actor: str | None, seconds: float, *, yes: bool) -> None:
    with ControlLog(url, actor=actor) as log:
        try:
            swept = Sweep(log, store, seconds=seconds, confirmed=yes).run()
        except ClockJumped as jumped:
            confirm(f"{jumped}. Is the clock right?", yes=False)
            swept = Sweep(log, store, seconds=seconds, confirmed=True).run()
    _say(swept)


def _say(swept: Swept) -> None:
    classes = "".join(f", {name} of {count:,}" for name, count in swept.erased.items())
    say(f"{swept.policy}: removed {swept.removed:,} entries{classes}; the log begins at leaf {swept.first_leaf:,}")
    if not swept.done:
        say("not all that is due is gone yet: run it again, or give it more --seconds")


def _show(url: str, store: PrivacyStore, form: Format, policy: Policy | None) -> None:
    due = Sweep(ControlLog(url), store, policy=policy).due()
    lines = [Line(name, month, count) for name, months in due.items() for month, count in sorted(months.items())]
    if form is not Format.table:
        write_rows(COLUMNS, lines, form)
    elif lines:
        screen = console()
        screen.print(table(COLUMNS, lines, screen.width))
    else:
        say("nothing is due")


def _seconds(text: str) -> int:
    found = _EVERY.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"{text!r} is no interval: write 30m, 1h or 1d")
    return int(found[1]) * _SECONDS[found[2]]
