"""`auditmw tail`: the entries as they come in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import anyio
import typer
from rich.text import Text

from auditmw.cli import DONE
from auditmw.cli.opening import DatabaseOption, reading
from auditmw.cli.output import STATUS_STYLES, Format, console, write_csv, write_json
from auditmw.cli.reads import ActorOption, on_record
from auditmw.entry import JSON_NAMES, KINDS, STATUSES, AuditEntry
from auditmw.exporters.csv import rows
from auditmw.following import follow
from auditmw.querying import about_query
from auditmw.rollups.calls import tokens_of
from auditmw.text import ABSENT, duration, moment, money, printable

EXAMPLES: Final = (
    "auditmw tail",
    "auditmw tail --user alice --status error",
    "auditmw tail --json -n 0 | jq -r .cost_usd",
)
_OTHER_STATUS: Final = "magenta"


def tail(
    db: DatabaseOption = None,
    user: Annotated[str | None, typer.Option("--user", help="Calls of this user.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Calls of this model, as it was asked for.")] = None,
    status: Annotated[str | None, typer.Option("--status", help=f"One of {', '.join(STATUSES)}.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Calls of this tenant.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Calls of this action.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help=f"One of {', '.join(KINDS)}; control entries come only when asked for.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many entries to begin with.")] = 10,
    every: Annotated[float, typer.Option("--every", min=0.05, help="Seconds between two looks.")] = 1.0,
    following: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on until interrupted.")] = True,
    actor: ActorOption = None,
    form: Annotated[Format, typer.Option("--format", help="How to show them.")] = Format.table,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> int:
    """Show the last entries, then each new one when it is stored. End it with Ctrl-C."""
    wanted: dict[str, Any] = {
        "user_id": user,
        "model": model,
        "status": status,
        "tenant": tenant,
        "action": action,
        "kind": kind,
    }
    show = _SHOWN[Format.json if as_json else form]
    with reading(db) as trail, on_record(trail, "tail", actor=actor, **about_query(wanted)) as told:
        if show is _csv_line:
            write_csv(JSON_NAMES, [])
        if not following:
            found = list(trail.pages(**wanted, newest_first=True, limit=lines).blocking())
            told(len(found))
            for entry in reversed(found):
                show(entry)
            return DONE
        told(None)

        async def run() -> None:
            async for entry in follow(lambda **asked: trail.pages(**asked).awaited(), every, lines, wanted):
                show(entry)
                sys.stdout.flush()

        try:
            anyio.run(run)
        except KeyboardInterrupt:
            return DONE
    return DONE


def _json_line(entry: AuditEntry) -> None:
    write_json([entry.to_dict()])


def _csv_line(entry: AuditEntry) -> None:
    sys.stdout.write(rows(JSON_NAMES, [entry.to_dict()]))


def _line(entry: AuditEntry) -> None:
    screen = console()
    screen.print(line_of(entry), soft_wrap=True)


def line_of(entry: AuditEntry) -> Text:
    """One entry as a line."""
    tokens, name = tokens_of(entry), entry.model if entry.kind in {"llm", "request"} else f"({entry.kind})"
    parts: list[tuple[str, str]] = [
        (moment(entry.timestamp_us), "dim"),
        (f"{entry.status:<11}", STATUS_STYLES.get(entry.status, _OTHER_STATUS)),
        (_shown(entry.user_id), "bold"),
        (_shown(entry.action), "cyan"),
        (_shown(name), ""),
        (ABSENT if tokens is None else f"{tokens:,} tokens", "dim" if tokens is None else ""),
        (ABSENT if entry.cost_nano is None else money(entry.cost_nano), "green"),
        (ABSENT if entry.latency_us is None else duration(entry.latency_us), ""),
        (printable(entry.error_type or ""), "red"),
        (printable(entry.request_id), "dim"),
    ]
    return Text("  ").join(Text(text, style=style) for text, style in parts if text)


_SHOWN: Final[dict[Format, Callable[[AuditEntry], None]]] = {
    Format.table: _line,
    Format.json: _json_line,
    Format.csv: _csv_line,
}


def _shown(value: Any) -> str:
    return ABSENT if value is None else printable(str(value))
