"""How pages are made of templates: everything is escaped, and nothing that stands in a field is obeyed or unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from auditmw import text as texts
from auditmw.reports.columns import Column
from auditmw.stores import path_of

NAVIGATION: Final = (
    ("/", "Overview"),
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
            "cell": show_cell,
            "share": share,
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


def show_cell(column: Column, value: Any, digits: int) -> str:
    """A value of a report's column."""
    if value is None:
        return texts.ABSENT
    if column.holds == "money":
        return texts.money(value, digits)
    if column.holds == "duration":
        return texts.duration(value)
    if column.holds == "ratio":
        return texts.percent(value)
    if column.holds == "count":
        return f"{value:,}"
    if column.holds == "number":
        return f"{value:,.2f}"
    if column.holds == "time":
        return texts.moment(value)
    return show_text(value)


def share(column: Column, value: float | None, values: list[Any]) -> int:
    """How long a value's bar is, in percent."""
    top = max((other for other in values if other), default=1) if column.drawn == "share" else 1
    return round(100 * max(0.0, min(1.0, (value or 0) / top)))
