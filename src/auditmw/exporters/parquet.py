"""Parquet for DuckDB, Spark and the like: typed columns under the public names, exact money, times in UTC.

Texts stand in it as they are: a typed file has no line to break. Whoever prints them has to see to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, BinaryIO, Final

import msgspec

from auditmw.canonical import canonical_text
from auditmw.entry import JSON_FIELDS, JSON_NAMES, AuditEntry, Whole
from auditmw.errors import MissingExtra
from auditmw.exporters.exporter import Exporter, Format

ROW_GROUP: Final = 10_000
"""So many entries are held, and written as one group."""

_TIMES: Final = ("timestamp", "logged_at", "stored_at")
_NUMBERS: Final = ("latency_ms", "ttft_ms")
_BOOLEANS: Final = ("stream", "usage_complete")
_INTEGERS: Final = frozenset(
    field.name for field in msgspec.structs.fields(AuditEntry) if field.type in {Whole, Whole | None}
)


class ParquetExporter:
    """Gathers entries into row groups."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as missing:
            raise MissingExtra("pyarrow", "parquet") from missing
        self._arrow: Any = pa
        self._schema = pa.schema([(name, _type(pa, name)) for name in JSON_NAMES])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries."""
        self._rows += map(_row, entries)
        if len(self._rows) >= ROW_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Write the last group and the footer, without which the file cannot be read."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def _type(arrow: Any, name: str) -> Any:
    if name in _TIMES:
        return arrow.timestamp("us", tz="UTC")
    if name == "cost_usd":
        return arrow.decimal128(38, 9)
    if name in _NUMBERS:
        return arrow.float64()
    if name in _BOOLEANS:
        return arrow.bool_()
    if name == "tool_names":
        return arrow.list_(arrow.string())
    return arrow.int64() if name in _INTEGERS else arrow.string()


def _row(entry: AuditEntry) -> dict[str, Any]:
    row = entry.to_dict()
    for name in _TIMES:
        row[name] = getattr(entry, name)
    if row["cost_usd"] is not None:
        row["cost_usd"] = Decimal(row["cost_usd"])
    for name in JSON_FIELDS - {"tool_names"}:
        if row[name] is not None:
            row[name] = canonical_text(row[name])
    return row


def _begin(file: BinaryIO, _goes_on: bool) -> Exporter:
    return ParquetExporter(file)


FORMAT: Final = Format("parquet", "typed columns, for DuckDB, Spark and the like", appends=False, begin=_begin)
