"""Shows rows as a table, as JSON (an object a line) or as CSV: results on stdout, what is said of them on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditmw.cli import text as texts
from auditmw.entry import decimal_text, to_rfc3339
from auditmw.exporters.csv import rows as rows_of
from auditmw.reports.columns import Column

WIDTH_WITHOUT_TERMINAL: Final = 160
STATUS_STYLES: Final = {"success": "green", "error": "red", "blocked": "yellow", "incomplete": "red"}
_OTHER_STATUS: Final = "magenta"
_LEFT: Final = {"text", "status", "id", "time"}
_PLAIN: Final[dict[str, Callable[[Any], Any]]] = {
    "money": decimal_text,
    "duration": lambda us: us / 1000,
    "time": to_rfc3339,
    "ratio": lambda share: round(share, 6),
}
"""How what a column holds is given in JSON and CSV, where it is not given as it is."""


class Format(StrEnum):
    """How results are shown."""

    table = "table"
    json = "json"
    csv = "csv"


def console() -> Console:
    """Where tables are drawn: as wide as the terminal, or wide enough where there is none."""
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS") or WIDTH_WITHOUT_TERMINAL)
    return Console(width=width, highlight=False, markup=False, emoji=False)


def say(message: str) -> None:
    """Tell the user something that is no result."""
    sys.stderr.write(f"{texts.printable(message)}\n")


def write_json(objects: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line."""
    for fields in objects:
        sys.stdout.write(texts.printable_json(msgspec.json.encode(fields).decode()) + "\n")


def write_csv(names: Sequence[str], objects: Iterable[dict[str, Any]]) -> None:
    """A line of names, then a line an object; no cell is a formula, whatever stands in a field."""
    sys.stdout.write(f"{','.join(names)}\n")
    for fields in objects:
        sys.stdout.write(rows_of(names, [fields]))


def plain(columns: Sequence[Column], rows: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Rows as objects under the columns' JSON names."""
    for row in rows:
        values = {column.name: (column.holds, getattr(row, column.attribute)) for column in columns}
        yield {
            name: value if value is None or holds not in _PLAIN else _PLAIN[holds](value)
            for name, (holds, value) in values.items()
        }


def write_rows(columns: Sequence[Column], rows: Iterable[Any], form: Format) -> None:
    """Write rows as JSON or CSV."""
    if form is Format.json:
        write_json(plain(columns, rows))
    else:
        write_csv([column.name for column in columns], plain(columns, rows))


def table(columns: Sequence[Column], rows: Sequence[Any], title: str | None = None) -> Table:
    """Rows as an aligned table, with a bar beside each column that asks for one and sums below those that add up."""
    totals = len(rows) > 1 and any(column.adds_up for column in columns)
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=totals,
        header_style="dim",
        footer_style="bold",
    )
    cells: list[list[Text]] = []
    for column in filter(lambda column: column.in_tables, columns):
        values = [getattr(row, column.attribute) for row in rows]
        show = _shower(column, values)
        cells.append([show(value) for value in values])
        known = [value for value in values if value is not None] if column.adds_up and totals else []
        footer = show(sum(known)) if known else Text()
        drawn.add_column(
            column.title,
            justify="left" if column.holds in _LEFT else "right",
            no_wrap=column.holds != "text",  # where the terminal is narrow, only texts give way
            overflow="ellipsis",
            footer=footer,
        )
        if column.drawn is not None:
            drawn.add_column("", no_wrap=True)
            top = max((value for value in values if value), default=1) if column.drawn == "share" else 1
            cells.append([Text(texts.bar((value or 0) / top), style="cyan") for value in values])
    for line in zip(*cells, strict=True):
        drawn.add_row(*line)
    return drawn


def _shower(column: Column, values: Sequence[Any]) -> Callable[[Any], Text]:
    """How the values of a column are shown in its table."""
    digits = texts.money_digits([value for value in values if value]) if column.holds == "money" else 0
    shows: dict[str, Callable[[Any], str]] = {
        "count": lambda value: f"{value:,}",
        "money": lambda value: texts.money(value, digits),
        "duration": texts.duration,
        "ratio": texts.percent,
        "number": lambda value: f"{value:,.2f}",
        "time": texts.moment,
        "id": lambda value: texts.printable(texts.short_id(value)),
    }
    show = shows.get(column.holds, texts.printable)

    def shown(value: Any) -> Text:
        if value is None:
            return Text(texts.ABSENT, style="dim")
        style = STATUS_STYLES.get(value, _OTHER_STATUS) if column.holds == "status" else ""
        return Text(show(value), style="dim" if column.holds == "id" else style)

    return shown
