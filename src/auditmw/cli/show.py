"""`auditmw show ID`: all that an entry says."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from auditmw.cli import NotFound
from auditmw.cli import text as texts
from auditmw.cli.entries import entry_table
from auditmw.cli.finding import find_entry
from auditmw.cli.opening import DatabaseOption, reading
from auditmw.cli.output import STATUS_STYLES, Format, console, write_csv, write_json
from auditmw.cli.reads import ActorOption, PurposeOption, RestrictedOption, on_record, purpose_of
from auditmw.entry import JSON_NAMES, AuditEntry, decimal_text
from auditmw.locations import key_directory
from auditmw.privacy.control import ControlLog
from auditmw.privacy.reading import KEEPS_NONE, keeps_content, read_content, require_purpose
from auditmw.privacy.vault import Vault, find_content_key
from auditmw.sections import SECTIONS
from auditmw.stores.privacy import open_privacy

EXAMPLES: Final = (
    "auditmw show 019ab1c2-3d4e-7f3a-9c1b-2f6f5a1d8e07",
    "auditmw show 019ab1c2-3d4e-8e07          [dim]# as a table shortens it[/dim]",
    "auditmw show 019ab1c2-3d4e-8e07 --format json",
    'auditmw show 019ab1c2-3d4e-8e07 --content --purpose "complaint 4711"',
)


def show(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="An entry's id, whole or as tables show it, or a call's.")
    ],
    db: DatabaseOption = None,
    form: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.table,
    content: Annotated[bool, typer.Option("--content", help="Decrypt the prompt and the answer, as JSON.")] = False,
    restricted: RestrictedOption = False,
    purpose: PurposeOption = None,
    actor: ActorOption = None,
) -> None:
    """Show all that one entry says, and the other attempts of its call."""
    what_for = purpose_of(purpose, restricted=restricted)
    with reading(db) as trail:
        entry = find_entry(trail, identity, what_for)
        if entry is None:
            raise NotFound(
                f"no entry has the id {identity}, unless --restricted shows it: `auditmw query` shows which there are"
            )
        if content:
            write_json([_content(trail.url, entry, purpose, actor)])
            return
        attempts: list[AuditEntry] = []
        if entry.call_id and form is Format.table:
            attempts = list(trail.pages(call_id=entry.call_id, restricted=what_for).blocking())
        about = {"entry": entry.request_id, "subject": entry.subject or entry.user_id, "tenant": entry.tenant}
        with on_record(trail, "restricted" if restricted else "show", actor=actor, purpose=purpose, **about) as told:
            told(max(1, len(attempts)))
    if form is Format.json:
        write_json([entry.to_dict()])
    elif form is Format.csv:
        write_csv(JSON_NAMES, [entry.to_dict()])
    else:
        _draw(entry, attempts)


def _content(url: str, entry: AuditEntry, purpose: str | None, actor: str | None) -> dict[str, Any]:
    require_purpose(purpose)
    store = open_privacy(url)
    try:
        if not keeps_content(store):
            raise NotFound(KEEPS_NONE)
        vault = Vault(find_content_key(key_directory(url), os.environ))
        with ControlLog(url, actor=actor) as log:
            found = read_content(log, store, vault, entry, purpose)
    finally:
        store.close()
    if found is None:
        raise NotFound(f"no content of {entry.request_id} is kept, or it is gone")
    return found


def _draw(entry: AuditEntry, attempts: list[AuditEntry]) -> None:
    screen = console()
    fields = entry.to_dict()
    for section, names in SECTIONS.items():
        known = [name for name in names if fields[name] is not None]
        if not known:
            continue
        lines = Table.grid(padding=(0, 2), pad_edge=True)
        lines.add_column(min_width=22, style="dim", no_wrap=True)
        lines.add_column(overflow="fold")
        for name in known:
            lines.add_row(name, _value(name, fields[name], entry))
        screen.print(Text(section, style="bold"))
        screen.print(lines)
    absent = [name for name in JSON_NAMES if fields[name] is None and name != "usage_raw"]
    screen.print(Text(f"absent: {', '.join(absent)}", style="dim"))
    if len(attempts) > 1:
        screen.print(entry_table(attempts, screen.width, f"\nthe call's {len(attempts)} attempts"))


def _value(name: str, value: Any, entry: AuditEntry) -> Text:
    if name == "status":
        return Text(value, style=STATUS_STYLES.get(value, "magenta"))
    if name == "cost_usd" and entry.cost_nano is not None:
        return Text(f"${decimal_text(entry.cost_nano)}")
    if name in {"latency_ms", "ttft_ms"}:
        return Text(texts.duration(value * 1000))
    if name == "stored_at":  # the store gives whole seconds: a fraction would say that it was stored before the call
        return Text(value.replace(".000000Z", "Z"))
    if name.endswith("_tokens"):
        return Text(f"{value:,}")
    return Text(texts.printable(value if isinstance(value, str) else msgspec.json.encode(value).decode()))
