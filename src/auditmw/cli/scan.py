"""`auditmw scan`: what would be found in a text, before any of it is sent."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.text import Text

from auditmw.cli import NotFound
from auditmw.cli import text as texts
from auditmw.cli.output import Format, console, say, write_rows
from auditmw.recognizers import DEFAULT_KINDS, KINDS, Finding
from auditmw.recognizers import scan as find
from auditmw.reports.columns import Column
from auditmw.sanitizing.actions import DEFAULT as REPLACED

EXAMPLES: Final = (
    "auditmw scan letter.txt",
    "git diff | auditmw scan -",
    "auditmw scan --kinds SECRET,PASSWORD --format json config.yaml",
)


class Place(msgspec.Struct, frozen=True):
    """A finding and where it is: line and column from 1, offsets in characters from 0. Never the value itself."""

    kind: str
    line: int
    column: int
    start: int
    end: int


_COLUMNS: Final = tuple(
    Column(name, name, name, "text" if name == "kind" else "count") for name in Place.__struct_fields__
)


def scan(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A text file, or - for standard input.")],
    kinds: Annotated[
        str | None, typer.Option("--kinds", metavar="NAMES", help=f"Some of {', '.join(sorted(KINDS))}.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to show what is found.")] = Format.table,
) -> None:
    """Find personal data and credentials in a text, and show where they are.

    Nothing is stored or sent. A Sanitizer() as it is by default replaces credentials, cards, bank accounts and social
    security numbers before a request is sent, and only counts the rest, as the last line says.

    The table shows the lines with the values struck out; JSON and CSV never hold a value.
    """
    content = _read(file)
    wanted = DEFAULT_KINDS if kinds is None else [part.strip().upper() for part in kinds.split(",") if part.strip()]
    findings = find(content, kinds=wanted)
    places = _places(content, findings)
    if form is not Format.table:
        write_rows(_COLUMNS, places, form)
        return
    if not findings:
        say("Nothing was found.")
        return
    screen = console()
    for line in _view(content, findings, coloured=screen.color_system is not None):
        screen.print(line, soft_wrap=True)
    counts = Counter(finding.kind for finding in findings)
    say(f"{len(findings)} found: {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}.")
    if counted := sorted(counts.keys() - REPLACED.keys()):
        say(f"By default a Sanitizer() counts {', '.join(counted)} and sends them as they are.")


def _read(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error
    return raw.decode(errors="surrogateescape")


def _line_starts(content: str) -> list[int]:
    return [0, *(place + 1 for place, character in enumerate(content) if character == "\n")]


def _places(content: str, findings: Sequence[Finding]) -> list[Place]:
    starts = _line_starts(content)
    places = []
    for kind, start, end in findings:
        line = bisect_right(starts, start)
        places.append(Place(kind, line, start - starts[line - 1] + 1, start, end))
    return places


def _view(content: str, findings: Sequence[Finding], *, coloured: bool) -> list[Text]:
    """The lines that hold findings, numbered, the values struck out, or in brackets, and their kinds after."""
    starts = _line_starts(content)
    lines = []
    for number, found in groupby(findings, key=lambda finding: bisect_right(starts, finding.start)):
        line = Text(f"{number:>6} │ ", style="dim")
        shown = starts[number - 1]
        for kind, start, end in found:
            line.append(texts.printable(content[shown:start]), style="not dim")
            value = texts.printable(content[start:end])
            line.append(value if coloured else f"[-{value}-]", style="not dim strike red")
            line.append(f"[{kind}]", style="not dim bold green")
            shown = end
        line.append(texts.printable(content[shown:].partition("\n")[0]), style="not dim")
        lines.append(line)
    return lines
