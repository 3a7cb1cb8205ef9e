"""How pages are made of templates: everything is escaped, and nothing that stands in a field is obeyed or unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from auditmw import text as texts
from auditmw.reports.columns import Answer, Column
from auditmw.stores import path_of

NAVIGATION: Final = (
    ("/", "Overview"),
    ("/reports/anomalies", "Anomalies"),
    ("/entries", "Entries"),
    ("/reports", "Reports"),
    ("/evidence", "Evidence"),
    ("/retention", "Retention"),
)


class Pages:
    """The templates, with what they need of one trail."""

    def __init__(self, url: str) -> None:
        self._environment = Environment(
            loader=PackageLoader("auditmw.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        filters: dict[str, Callable[..., str]] = {
            "text": show_text,
            "text_lines": lambda text: "\n".join(map(show_text, text.split("\n"))),
            "value": show_value,
            "money": show_money,
            "duration": show_duration,
            "count": show_count,
            "moment": texts.moment,
            "short_id": texts.short_id,
        }
        self._environment.filters |= filters
        self._environment.globals |= {
            "table_of": table_of,
            "digits_of": digits_of,
            "trail_name": name_of(url),
        }

    def show(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page; its links begin where the app is mounted."""
        base = request.scope.get("root_path", "")
        path = request.scope["path"].removeprefix(base) or "/"
        here = max((link for link, _ in NAVIGATION if path.startswith(link)), key=len)
        page = self._environment.get_template(template)
        return HTMLResponse(page.render(base=base, navigation=NAVIGATION, here=here, status=status, **values), status)


def name_of(url: str) -> str:
    """What a trail is called on its pages: neither who may open it, nor where on the machine it lies."""
    parts = urlsplit(url)
    if parts.scheme in {"sqlite", "jsonl"}:
        return PurePath(path_of(url)).name
    return f"{parts.hostname or ''}{parts.path}" or parts.scheme


def show_text(value: Any) -> str:
    """A text with every character that is unseen, or turns text around, as an escape."""
    return texts.ABSENT if value is None else texts.printable(str(value))


def show_value(value: Any) -> str:
    """A field's value as it is in JSON, texts without quotes."""
    return show_text(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def show_money(nano: int | None, digits: int) -> str:
    """Nanodollars in dollars with so many digits after the point."""
    return texts.ABSENT if nano is None else texts.money(nano, digits)


def digits_of(rows: Iterable[Any], attribute: str) -> int:
    """How many digits the amounts of a column need, so that they stand in line."""
    return texts.money_digits([nano for row in rows if (nano := getattr(row, attribute))])


def show_duration(us: int | None) -> str:
    """Microseconds as people read them."""
    return texts.ABSENT if us is None else texts.duration(us)


def show_count(value: int | None) -> str:
    """A number with its thousands apart."""
    return texts.ABSENT if value is None else f"{value:,}"


class Cell(NamedTuple):
    """A value of a report as it is shown; `share` is how long its bar is, in percent, None where it has none."""

    column: Column
    value: Any
    text: str
    share: int | None


def table_of(answer: Answer) -> list[list[Cell]]:
    """The rows of an answer, cell by cell."""
    shows = [_cells_of(column, answer.rows) for column in answer.columns]
    return [[show(row) for show in shows] for row in answer.rows]


def _cells_of(column: Column, rows: Sequence[Any]) -> Callable[[Any], Cell]:
    digits = digits_of(rows, column.attribute) if column.holds == "money" else 0
    values = (getattr(row, column.attribute) for row in rows) if column.drawn == "share" else ()
    top = max((value for value in values if value), default=1)

    def show(row: Any) -> Cell:
        value = getattr(row, column.attribute)
        share = round(100 * max(0.0, min(1.0, (value or 0) / top))) if column.drawn else None
        return Cell(column, value, _shown(column, value, digits), share)

    return show


def _shown(column: Column, value: Any, digits: int) -> str:
    if value is None:
        return texts.ABSENT
    shows: dict[str, Callable[[Any], str]] = {
        "money": lambda nano: texts.money(nano, digits),
        "duration": texts.duration,
        "ratio": texts.percent,
        "count": show_count,
        "number": lambda number: f"{number:,.2f}",
        "time": texts.moment,
    }
    return shows.get(column.holds, show_text)(value)
