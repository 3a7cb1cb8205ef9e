"""`auditmw query`: the entries that fit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from auditmw.cli.entries import entry_table
from auditmw.cli.moments import parse_moment
from auditmw.cli.opening import DatabaseOption, reading
from auditmw.cli.output import Format, console, say, write_csv, write_json
from auditmw.cli.reads import ActorOption, PurposeOption, RestrictedOption, handed_out, on_record, purpose_of
from auditmw.entry import JSON_NAMES, KINDS, STATUSES, AuditEntry
from auditmw.querying import about_query

SHOWN: Final = 50
"""How many entries the table shows unless told otherwise."""

EXAMPLES: Final = (
    "auditmw query --user alice --since -7d",
    "auditmw query --status error --since 2026-11-01 --until 2026-11-08T12:00",
    "auditmw query --model claude-sonnet-4-6 --format csv > calls.csv",
    "auditmw query --oldest-first --format json | jq -r .cost_usd",
    'auditmw query --user alice --restricted --purpose "complaint 4711"',
)


def query(
    db: DatabaseOption = None,
    user: Annotated[str | None, typer.Option("--user", help="Calls of this user.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Calls of this model, as it was asked for.")] = None,
    status: Annotated[str | None, typer.Option("--status", help=f"One of {', '.join(STATUSES)}.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From then on: 2026-11-01, -7d.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then: 2026-11-08T12:00.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Calls of this tenant.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Calls of this session.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Calls about this person.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Calls of this action.")] = None,
    call: Annotated[str | None, typer.Option("--call", metavar="ID", help="The attempts of this call.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help=f"One of {', '.join(KINDS)}; control entries come only when asked for.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=0, help=f"At most so many: {SHOWN} in a table, all in JSON and CSV.")
    ] = None,
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="In the order in which they were stored, not the other way round.")
    ] = False,
    restricted: RestrictedOption = False,
    purpose: PurposeOption = None,
    actor: ActorOption = None,
    form: Annotated[Format, typer.Option("--format", help="How to show them.")] = Format.table,
) -> None:
    """Show the entries that fit, the newest first.

    An entry is one attempt of a call: a call that was tried again has several, which share its call_id. What an erasure
    wants gone while a floor or a hold keeps it is restricted: it comes only with --restricted, and that is on record.
    """
    now = datetime.now(UTC)
    wanted: dict[str, Any] = {
        "user_id": user,
        "subject": subject,
        "model": model,
        "status": status,
        "session_id": session,
        "tenant": tenant,
        "action": action,
        "call_id": call,
        "kind": kind,
        "since": since and parse_moment(since, now),
        "until": until and parse_moment(until, now),
    }
    what_for = purpose_of(purpose, restricted=restricted)
    what, about = "restricted" if restricted else "query", about_query(wanted)
    wanted |= {"newest_first": not oldest_first, "restricted": what_for}
    with reading(db) as trail, on_record(trail, what, actor=actor, purpose=purpose, **about) as told:
        if form is Format.table:
            shown = SHOWN if limit is None else limit
            found = list(trail.pages(**wanted, limit=shown + 1).blocking())
            told(len(found[:shown]))
            _show(found, shown)
            return
        entries: Iterator[AuditEntry] = handed_out(trail.pages(**wanted, limit=limit).blocking(), told)
        if form is Format.json:
            write_json(entry.to_dict() for entry in entries)
        else:
            write_csv(JSON_NAMES, (entry.to_dict() for entry in entries))


def _show(entries: list[AuditEntry], shown: int) -> None:
    if not entries:
        say("No entry fits. Entries are shown when they are stored, which takes a moment after the call.")
        return
    screen = console()
    screen.print(entry_table(entries[:shown], screen.width))
    if len(entries) > shown:
        say(f"Only {shown} are shown: use --limit for more, or --format json for all.")
