"""`auditmw export`: the entries for another system."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from auditmw.cli.files import require_writable
from auditmw.cli.moments import parse_moment
from auditmw.cli.opening import DatabaseOption, reading, required
from auditmw.cli.output import say
from auditmw.cli.reads import ActorOption, PurposeOption, RestrictedOption, handed_out, on_record, purpose_of
from auditmw.entry import FIELD_CLASSES, KINDS
from auditmw.errors import ConfigurationError
from auditmw.exporters import FORMATS
from auditmw.exporting import Export, without
from auditmw.exporting import Progress as ToldProgress
from auditmw.privacy.exported import enter_export
from auditmw.querying import Told, about_query, say_nothing
from auditmw.stores.privacy import has_privacy
from auditmw.trail import AuditTrail

EXAMPLES: Final = (
    "auditmw export --format parquet --since 2026-11-01 --until 2026-12-01 --out november.parquet",
    "auditmw export --format ocsf --out siem.jsonl --cursor siem.cursor   [dim]# only what is new[/dim]",
    "auditmw export --format csv --without who --without metadata > calls.csv",
)
AT_ONCE: Final = 5000
"""So many entries are put on record together, before they are written."""
_NAMES: Final = "; ".join(f"{form.name}: {form.about}" for form in FORMATS.values())


def export(
    form: Annotated[str, typer.Option("--format", metavar="NAME", help=f"{_NAMES}.")],
    db: DatabaseOption = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From then on: 2026-11-01, -7d.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help=f"One of {', '.join(KINDS)}; control entries come only when asked for.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="CLASS", help=f"Leave out fields: {', '.join(FIELD_CLASSES)}."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write; standard output by default.")
    ] = None,
    cursor: Annotated[
        Path | None,
        typer.Option("--cursor", metavar="FILE", help="Remembers how far it came: the next run goes on from there."),
    ] = None,
    restricted: RestrictedOption = False,
    purpose: PurposeOption = None,
    actor: ActorOption = None,
    record: Annotated[
        bool, typer.Option(help="Put it on record, where it goes too: for the trail's owner, and not on a replica.")
    ] = True,
) -> None:
    """Write entries in a format of another system, oldest first.

    With --cursor a run that was cut off is taken up where it ended, and later runs add what is new. Nothing that stands
    in a field breaks a line, runs in a spreadsheet, or is obeyed by a terminal. Where it went is on record in the
    trail, so that an erasure names the copies that it does not reach.
    """
    if form not in FORMATS:
        raise ConfigurationError(f"there is no format {form!r}: use {', '.join(FORMATS)}")
    now = datetime.now(UTC)
    run = Export(FORMATS[form], out, cursor)
    stripped = without(leave_out or ())
    asked: dict[str, Any] = {
        "since": since and parse_moment(since, now),
        "until": until and parse_moment(until, now),
        "kind": kind,
        "tenant": tenant,
    }
    wanted = asked | {"after": run.after, "restricted": purpose_of(purpose, restricted=restricted)}
    if restricted and not record:
        raise ConfigurationError("restricted entries are given away on record only: leave --no-record out")
    url = required(db)
    ledger = record and has_privacy(url)
    for path in (out, cursor and cursor.with_name(f"{cursor.name}.new")):
        if path is not None:  # before it is on record: a receipt of an erasure names no copy that there never was
            require_writable(path)
    with reading(url) as trail, ExitStack() as around:
        told: Told = say_nothing
        recorded = trail.reads().result() == "all" or ledger
        if ledger:
            enter_export(url, form, "standard output" if out is None else str(out.absolute()))
        if recorded:
            about = {"format": form, "without": list(leave_out or ()), "restricted": restricted or None}
            record_of = on_record(trail, "export", actor=actor, purpose=purpose, **about, **about_query(asked))
            told = around.enter_context(record_of)

        def handed(count: int | None) -> None:
            if count:  # a run with a cursor that finds nothing new leaves no trace
                told(count)

        progress = around.enter_context(_progress(trail, wanted))
        entries = handed_out(trail.pages(**wanted).blocking(), handed, AT_ONCE)
        written = run.run(map(stripped, entries), progress)
    say(f"{written:,} entries written{'' if out is None else f' to {out}'}")


@contextmanager
def _progress(trail: AuditTrail, wanted: dict[str, Any]) -> Iterator[ToldProgress | None]:
    """A bar on stderr, where somebody looks at it."""
    if not sys.stderr.isatty():
        yield None
        return
    newest = next(trail.pages(**wanted, newest_first=True, limit=1).blocking(), None)
    first = -1 if wanted["after"] is None else wanted["after"]
    total = None if newest is None or newest.leaf_index is None else newest.leaf_index - first
    columns = (TextColumn("exporting"), BarColumn(), TextColumn("{task.fields[entries]:,}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, entries=0)
        yield lambda entries, leaf_index: bar.update(task, completed=leaf_index - first, entries=entries)
