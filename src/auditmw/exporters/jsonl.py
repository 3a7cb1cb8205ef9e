"""JSON lines: an entry a line under its public names, every field present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Final

from auditmw.entry import AuditEntry
from auditmw.exporters.exporter import Format, LineExporter
from auditmw.text import printable_json


def lines(entries: Sequence[AuditEntry]) -> bytes:
    """The entries as lines; nothing in them ends a line early, or is obeyed by a terminal that shows the file."""
    return "".join(f"{printable_json(entry.to_json().decode())}\n" for entry in entries).encode()


def _begin(file: BinaryIO, _goes_on: bool) -> LineExporter:
    return LineExporter(file, lines)


FORMAT: Final = Format("jsonl", "an entry a line, as `query --format json` prints them", appends=True, begin=_begin)
