import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from auditmw import AuditTrail
from auditmw.cli.output import table
from auditmw.exporters.csv import cell as csv_cell
from auditmw.reports import REPORTS
from auditmw.reports.columns import Column
from auditmw.text import short_id

MODEL = "claude-next-preview"


@given(st.text())
def test_no_cell_of_csv_is_a_formula_or_begins_a_new_line(text):
    cell = csv_cell(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert "\n" not in cell
    assert "\r" not in cell


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("  @x", "'  @x"),
        (-5, "-5"),
        (True, "true"),
        ({"team": "=x"}, '{"team":"=x"}'),
        (["-a"], '["-a"]'),
    ],
)
def test_a_cell_is_the_value_made_safe(value, cell):
    assert csv_cell(value) == cell


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A trail from which every report has an answer, of a model and a user with names as long as they are."""
    monkeypatch.chdir(tmp_path)
    with AuditTrail("sqlite:///many.db") as trail:
        for tokens in (*range(100, 112), 9000):
            with trail.call(
                user_id="carol", model=MODEL, provider="anthropic", action="support.answer", app="orders"
            ) as call:
                call.system_prompt_hash = "ab" * 32
                call.sanitization = {"EMAIL": 1}
                usage = {"input_tokens": tokens, "output_tokens": 5}
                call.response = {"type": "message", "role": "assistant", "content": [], "usage": usage}
    monkeypatch.setenv("COLUMNS", "80")
    return "sqlite:///many.db"


@pytest.mark.parametrize("name", sorted(set(REPORTS) - {"surges"}))
def test_every_report_shows_its_groups_whole_at_80_columns(name, auditmw, many):
    result = auditmw("report", name, db=many)
    rows = [json.loads(line) for line in auditmw("report", name, "--format", "json", db=many).out.splitlines()]
    assert rows
    assert all(len(line) <= 80 for line in result.out.splitlines())
    for group in ("user_id", "day", "hour", "model", "app", "action", "kind", "what"):
        assert all(row[group] in result.out for row in rows if row.get(group)), group
    assert "…" not in result.out


@pytest.mark.parametrize("by", ["user,day", "model,hour", "user,model,day", "app,model", "action"])
def test_groups_that_were_asked_for_are_whole_at_80_columns(by, auditmw, many):
    out = auditmw("report", "cost", "--by", by, db=many).out
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    values = {"user": "carol", "day": now, "hour": f"{now}", "model": MODEL, "app": "orders", "action": "support."}
    assert all(values[name] in out for name in by.split(","))


def test_a_table_names_what_it_has_no_room_for(auditmw, many):
    assert "no room for: " in auditmw("report", "anomalies", db=many).out
    assert "no room for" not in auditmw("report", "cost", "--by", "app", db=many).out


def test_the_entries_lead_to_show_at_80_columns(auditmw, many):
    (entry,) = [
        json.loads(line) for line in auditmw("query", "--limit", "1", "--format", "json", db=many).out.splitlines()
    ]
    shown = short_id(entry["request_id"])
    assert shown in auditmw("query", db=many).out
    assert auditmw("show", shown, db=many).code == 0


def test_what_leads_is_folded_where_it_is_wider_than_all_there_is():
    class Row:
        name = "n" * 50
        calls = 3

    columns = [Column("name", "name", "name", leads=True), Column("calls", "calls", "calls", "count")]
    console = Console(width=30, file=io.StringIO())
    console.print(table(columns, [Row()], 30))
    assert console.file.getvalue().count("n") == 50 + len("name") - 3  # the title has one
    assert "3" in console.file.getvalue()
