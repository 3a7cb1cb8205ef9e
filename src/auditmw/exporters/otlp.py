"""OTLP/JSON lines, as a collector's file receiver reads them: a page of log records a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Final

from auditmw.entry import FIELD_CLASSES, AuditEntry
from auditmw.exporters.exporter import Format, LineExporter
from auditmw.exporters.otel import otlp_json
from auditmw.text import printable_json


def _begin(file: BinaryIO, _goes_on: bool) -> LineExporter:
    return LineExporter(file, _line)


def _line(entries: Sequence[AuditEntry]) -> bytes:
    return f"{printable_json(otlp_json(entries, include=FIELD_CLASSES).decode())}\n".encode()


FORMAT: Final = Format("otlp", "OpenTelemetry log records as OTLP/JSON", appends=True, begin=_begin)
