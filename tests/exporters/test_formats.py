"""What each format makes of entries, and of entries that attack whoever reads them."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from auditmw import AuditEntry, exporters
from auditmw.entry import JSON_NAMES, STATUSES
from auditmw.errors import MissingExtra
from auditmw.exporters import FORMATS
from auditmw.exporters.ocsf import event

LINES = sorted(set(FORMATS) - {"parquet"})


def exported(name, *entries, goes_on=False):
    file = io.BytesIO()
    exporter = FORMATS[name].begin(file, goes_on)
    exporter.write(entries)
    exporter.finish()
    return file.getvalue()


def test_every_format_is_one_file_here_and_registered():
    others = {"__init__", "exporter", "metrics", "otel"}
    files = {path.stem for path in Path(exporters.__file__).parent.glob("*.py")} - others
    assert files == set(FORMATS)


def test_every_format_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "exports.md").read_text()
    assert [name for name in FORMATS if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", LINES)
def test_nothing_in_a_field_breaks_a_line_or_reaches_a_terminal(name, evil):
    data = exported(name, evil).decode()
    assert len(data.splitlines()) == (2 if name == "csv" else 1)
    assert not {"\r", "\x1b", "\u2028", "\u202e"} & set(data)


@pytest.mark.parametrize("name", [name for name in LINES if name != "csv"])
def test_what_is_escaped_in_json_means_what_it_meant(name, evil):
    assert evil.user_id in json.dumps(json.loads(exported(name, evil)), ensure_ascii=False).replace(
        "\\r\\n", "\r\n"
    ).replace("\\u001b", "\x1b").replace('\\"', '"')


def test_a_line_of_json_is_the_entry(make_entry):
    assert AuditEntry.from_json(exported("jsonl", make_entry())) == make_entry()


def test_csv_begins_with_the_names_unless_it_goes_on(make_entry):
    header, row = csv.reader(io.StringIO(exported("csv", make_entry()).decode()))
    assert tuple(header) == JSON_NAMES
    assert dict(zip(header, row, strict=True))["cost_usd"] == "0.001234567"
    assert (
        exported("csv", make_entry(), goes_on=True).decode() == exported("csv", make_entry()).decode().split("\n", 1)[1]
    )


def test_csv_holds_no_formula(evil):
    _, row = csv.reader(io.StringIO(exported("csv", evil).decode()))
    assert [cell for cell in row if cell.startswith(("=", "+", "-", "@"))] == []


def test_otlp_names_the_user_too(make_entry):
    record = json.loads(exported("otlp", make_entry()))["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert {"stringValue": "alice"} in [attribute["value"] for attribute in record["attributes"]]


# --- OCSF ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema():
    jsonschema = pytest.importorskip("jsonschema", reason="the schema needs jsonschema")
    rules = json.loads(Path(__file__).with_name("ocsf_api_activity.json").read_text())
    return jsonschema.Draft202012Validator(rules)


@pytest.mark.parametrize("status", STATUSES)
def test_an_event_fits_the_schema_in_every_status(status, schema, make_entry):
    schema.validate(event(make_entry(status=status, error_type="overloaded", error_message="no")))


def test_events_of_entries_that_know_little_fit_the_schema(schema):
    for kind in ("llm", "request", "function", "control"):
        schema.validate(event(AuditEntry(request_id="r", timestamp_us=1, kind=kind)))


def test_an_event_says_who_asked_what_and_when(make_entry):
    told = event(make_entry())
    assert told["actor"] == {"user": {"uid": "alice"}, "session": {"uid": "s-1"}, "app_name": "desk"}
    assert (told["api"]["operation"], told["ai_model"]["name"]) == ("ask", "claude-opus-4-7")
    assert (told["time"], told["duration"]) == (1_700_000_000_123, 1_234)
    assert told["metadata"]["uid"] == "r-0"
    assert told["unmapped"]["cost_usd"] == "0.001234567"


def test_prompt_tokens_count_what_was_cached(make_entry):
    context = event(make_entry())["message_context"]
    assert (context["prompt_tokens"], context["completion_tokens"], context["total_tokens"]) == (112, 7, 119)


def test_a_blocked_call_is_a_failure_of_medium_severity(make_entry):
    told = event(make_entry(status="blocked"))
    assert (told["status_id"], told["severity_id"]) == (2, 3)


# --- Parquet ---------------------------------------------------------------------------------------------------------


def test_parquet_has_typed_columns_and_exact_money(make_entry, evil):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    table = parquet.read_table(io.BytesIO(exported("parquet", make_entry(), evil, make_entry(2, cost_nano=None))))
    first, second, third = table.to_pylist()
    assert tuple(first) == JSON_NAMES
    assert first["timestamp"] == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert (first["cost_usd"], third["cost_usd"]) == (Decimal("0.001234567"), None)
    assert (first["tool_names"], first["stream"], first["metadata"]) == (["search"], True, '{"team":"x"}')
    assert second["user_id"] == evil.user_id


def test_parquet_writes_a_group_whenever_enough_entries_wait(make_entry, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    monkeypatch.setattr("auditmw.exporters.parquet.ROW_GROUP", 2)
    file = io.BytesIO()
    exporter = FORMATS["parquet"].begin(file, False)
    for first in (0, 2):
        exporter.write([make_entry(first), make_entry(first + 1)])
    exporter.write([make_entry(4)])
    exporter.finish()
    read = parquet.ParquetFile(file)
    assert (read.num_row_groups, read.metadata.num_rows) == (3, 5)


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"auditmw\[parquet\]"):
        FORMATS["parquet"].begin(io.BytesIO(), False)
