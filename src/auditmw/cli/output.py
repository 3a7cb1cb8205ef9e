"""Shows rows as a table, as JSON (an object a line) or as CSV: results on stdout, what is said of them on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

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
_BETWEEN: Final = 2
"""So much of a table's width goes between two columns."""
_TEXT_WIDTH: Final = 12
"""No text is folded to less, so that its words can be read."""
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


class _Drawn(NamedTuple):
    """A column as a table draws it: its cells, or the bars beside them where it has no title."""

    column: Column
    title: str
    cells: list[Text]
    footer: Text

    @property
    def gives_way(self) -> bool:
        """Whether it is a text that a narrow table folds before any that leads."""
        return bool(self.title) and self.column.holds == "text" and not self.column.leads

    @property
    def rank(self) -> int:
        """The higher it is, the sooner a narrow table leaves the column out."""
        if not self.title:
            return 3
        return 0 if self.gives_way else 2 if self.column.holds == "time" else 1

    @property
    def width(self) -> int:
        """What shows all of it on one line."""
        return max(text.cell_len for text in (Text(self.title), self.footer, *self.cells))


def table(columns: Sequence[Column], rows: Sequence[Any], width: int, title: str | None = None) -> Table:
    """Rows as an aligned table, with a bar beside each column that asks for one and sums below those that add up.

    Where `width` is too little it leaves out bars and what leads least, and says so; a text is folded, never cut.
    """
    totals = len(rows) > 1 and any(column.adds_up for column in columns)
    every = [one for column in columns if column.in_tables for one in _draw(column, rows, totals=totals)]
    shown, text_width = _fitted(every, width)
    missing = [one.title for one in every if one.title and one not in shown]
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=f"no room for: {', '.join(missing)}; --format json has all" if missing else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=totals,
        header_style="dim",
        footer_style="bold",
    )
    for one in shown:
        drawn.add_column(
            one.title,
            justify="left" if one.column.holds in _LEFT or not one.title else "right",
            no_wrap=one.column.holds != "text",
            overflow="fold" if one.column.holds == "text" else "ellipsis",
            max_width=text_width if one.gives_way else None,
            footer=one.footer,
        )
    for line in zip(*(one.cells for one in shown), strict=True):
        drawn.add_row(*line)
    return drawn


def _draw(column: Column, rows: Sequence[Any], *, totals: bool) -> Iterator[_Drawn]:
    values = [getattr(row, column.attribute) for row in rows]
    show = _shower(column, values)
    known = [value for value in values if value is not None] if column.adds_up and totals else []
    yield _Drawn(column, column.title, [show(value) for value in values], show(sum(known)) if known else Text())
    if column.drawn is not None:
        top = max((value for value in values if value), default=1) if column.drawn == "share" else 1
        yield _Drawn(column, "", [Text(texts.bar((value or 0) / top), style="cyan") for value in values], Text())


def _fitted(every: Sequence[_Drawn], width: int) -> tuple[list[_Drawn], int]:
    """The columns for which there is room, and how wide those may be that give way.

    What leads comes first, with one column that tells something of it; then texts, values, times, and bars at last.
    """
    rest = [one for one in every if not one.column.leads]
    shown = [one for one in every if one.column.leads] + rest[:1]
    for one in sorted(rest[1:], key=lambda one: one.rank):
        if _needed([*shown, one]) <= width:
            shown.append(one)
    folded = sum(one.gives_way for one in shown)
    spare = max(0, width - _needed(shown)) // folded if folded else 0
    return [one for one in every if one in shown], _TEXT_WIDTH + spare


def _needed(columns: Sequence[_Drawn]) -> int:
    return sum(min(one.width, _TEXT_WIDTH) if one.gives_way else one.width for one in columns) + _BETWEEN * len(columns)


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
