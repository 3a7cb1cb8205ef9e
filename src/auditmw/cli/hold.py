"""`auditmw hold`: legal holds, which beat every ceiling and every erasure until they are released."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
import typer

from auditmw.cli import DONE
from auditmw.cli.moments import parse_moment
from auditmw.cli.opening import DatabaseOption, required
from auditmw.cli.output import Format, console, say, table, write_rows
from auditmw.cli.reads import ActorOption
from auditmw.entry import to_datetime
from auditmw.errors import ConfigurationError
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.holds import Hold, add_hold, count_held, holds_of, release_hold
from auditmw.reports.columns import Column
from auditmw.stores.privacy import PrivacyStore, alone, open_privacy

EXAMPLES: Final = (
    'auditmw hold add --user alice --since 2026-01-01 --reason "claim 4711"',
    "auditmw hold list",
    "auditmw hold release 1f0c2a9b7d3e",
)


class Action(StrEnum):
    """What to do."""

    add = "add"
    list = "list"
    release = "release"


class Line(msgspec.Struct, frozen=True):
    """A hold as it is listed."""

    id: str
    reason: str
    scope: str
    entries: int


COLUMNS: Final = (
    Column("id", "id", "hold", leads=True),
    Column("reason", "reason", "reason"),
    Column("scope", "scope", "scope"),
    Column("entries", "entries", "entries", "count"),
)


def hold(
    action: Annotated[Action, typer.Argument(help="Put a hold in force, list those in force, or end one.")],
    hold_id: Annotated[str | None, typer.Argument(metavar="ID", help="Which hold, to release it.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Entries of this user, or about this subject.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Entries of this tenant.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Entries of this session.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Entries that asked for this model.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Calls from then on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Calls before then.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is listed, and not in the log.")] = None,
    actor: ActorOption = None,
    db: DatabaseOption = None,
    form: Annotated[Format, typer.Option("--format", help="How to list them.")] = Format.table,
) -> int:
    """Keep what a dispute needs. All that is given narrows a hold; releasing it carries out what it deferred."""
    url = required(db)
    store = open_privacy(url)
    try:
        if action is Action.list:
            _list(store, form)
            return DONE
        with ControlLog(url, actor=actor) as log:
            if action is Action.add:
                if not reason:
                    raise ConfigurationError("why? Give a --reason, such as the number of a case")
                scope: dict[str, Any] = {"user_id": user, "tenant": tenant, "session_id": session, "model": model}
                added = add_hold(log, store, reason, **scope, since=_read(since), until=_read(until))
                say(f"hold {added.id} keeps {count_held(store, added):,} entries, and those to come")
                return DONE
            if hold_id is None:
                raise ConfigurationError("which hold? `auditmw hold list` shows those in force")
            release_hold(log, store, hold_id)
            with alone(store):
                done = Erasure(log, store).resume()
            say(f"hold {hold_id} is released")
            for receipt in done:
                say(f"erasure {receipt.erasure}: {receipt.answer}")
            return DONE
    finally:
        store.close()


def _list(store: PrivacyStore, form: Format) -> None:
    lines = [Line(one.id, one.reason, _scope(one), count_held(store, one)) for one in holds_of(store)]
    if form is Format.table and not lines:
        say("no hold is in force")
    elif form is Format.table:
        screen = console()
        screen.print(table(COLUMNS, lines, screen.width))
    else:
        write_rows(COLUMNS, lines, form)


def _read(text: str | None) -> datetime | None:
    return None if text is None else parse_moment(text, datetime.now(UTC))


def _scope(one: Hold) -> str:
    names = {"user_id": "user", "session_id": "session", "since_us": "since", "until_us": "until"}
    given = {k: v for k, v in msgspec.to_builtins(one).items() if k not in {"id", "reason"}}
    return ", ".join(
        f"{names.get(name, name)} {to_datetime(value).isoformat() if name.endswith('_us') else value}"
        for name, value in given.items()
    )
