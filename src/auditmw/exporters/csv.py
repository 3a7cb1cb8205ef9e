"""CSV for spreadsheets: a line of names, then an entry a line. No cell is a formula, whatever stands in a field."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, Final

import msgspec

from auditmw.entry import JSON_NAMES, AuditEntry
from auditmw.exporters.exporter import Format, LineExporter
from auditmw.text import printable, printable_json

_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: Any) -> str:
    """A value as a cell: text that a spreadsheet would run gets an apostrophe before it, JSON stays JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        shown = printable(value)
        return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
    if isinstance(value, (dict, list, bool)):
        return printable_json(msgspec.json.encode(value).decode())
    return str(value)


def rows(names: Sequence[str], objects: Iterable[Mapping[str, Any]]) -> str:
    """Objects as lines of cells in the order of the names."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([cell(fields[name]) for name in names] for fields in objects)
    return text.getvalue()


def _begin(file: BinaryIO, goes_on: bool) -> LineExporter:
    header = b"" if goes_on else f"{','.join(JSON_NAMES)}\n".encode()
    return LineExporter(file, _lines, header)


def _lines(entries: Sequence[AuditEntry]) -> bytes:
    return rows(JSON_NAMES, (entry.to_dict() for entry in entries)).encode()


FORMAT: Final = Format("csv", "an entry a line, for spreadsheets", appends=True, begin=_begin)
