"""`auditmw doctor`: looks at everything that a trail stands on, and says what to do."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from auditmw.checkup import Finding, examine
from auditmw.cli import DONE, FAILED
from auditmw.cli.opening import DatabaseOption, required
from auditmw.cli.output import Format, console, write_csv, write_json

EXAMPLES: Final = ("auditmw doctor --db sqlite:///audit.db", "auditmw doctor --format json")
_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(
    db: DatabaseOption = None,
    form: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.table,
) -> int:
    """Check the database, its schema, the key, the journals and what was lost or set aside; changes nothing.

    Exits with 1 if something is a problem, 0 otherwise.
    """
    findings = examine(required(db))
    if form is Format.table:
        table = Table(box=None, pad_edge=False)
        for heading in ("", "what", "found"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            table.add_row(Text(finding.state, _STYLES[finding.state]), finding.what, Text(finding.found))
        console().print(table)
    elif form is Format.json:
        write_json(finding._asdict() for finding in findings)
    else:
        write_csv(Finding._fields, [finding._asdict() for finding in findings])
    return FAILED if any(finding.state == "problem" for finding in findings) else DONE
