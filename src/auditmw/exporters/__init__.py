"""Entries in formats of other systems, one format a file."""

from __future__ import annotations

from typing import Final

from auditmw.exporters import csv, jsonl, ocsf, otlp, parquet
from auditmw.exporters.exporter import Format

FORMATS: Final[dict[str, Format]] = {
    found.name: found for found in (jsonl.FORMAT, csv.FORMAT, parquet.FORMAT, ocsf.FORMAT, otlp.FORMAT)
}
"""Every format of the export by its name."""
