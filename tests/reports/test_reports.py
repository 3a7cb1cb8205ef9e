from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import auditmw.reports
from auditmw.reports import REPORTS
from auditmw.reports.grouping import columns_for


def test_every_file_that_holds_a_report_is_registered():
    modules = [import_module(f"auditmw.reports.{module.name}") for module in iter_modules(auditmw.reports.__path__)]
    assert {module.REPORT.name for module in modules if hasattr(module, "REPORT")} == set(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_asks_a_question_covers_a_time_and_has_a_test(name):
    report = REPORTS[name]
    assert report.question.endswith("?")
    assert report.window > timedelta()
    assert len(columns_for(report.by)) == len(report.by)
    assert Path(__file__).with_name(f"test_{name}.py").exists()


@pytest.mark.parametrize("name", REPORTS)
def test_of_no_entries_every_report_answers_no_rows(name, asked):
    answer = REPORTS[name].answer([], asked(*REPORTS[name].by))
    assert not answer.rows
    assert answer.columns
    assert not answer.notes


@pytest.mark.parametrize("name", REPORTS)
def test_every_column_is_an_attribute_of_the_rows(name, make, asked):
    found = {"sanitization": {"EMAIL": 1}, "system_prompt_hash": "ab"}
    usual = [make(asked().until - timedelta(days=day, hours=2), **found) for day in range(20)]
    answer = REPORTS[name].answer([*usual, make(input_tokens=100_000, cost_nano=10**12)], asked(*REPORTS[name].by))
    assert answer.rows
    for row in answer.rows:
        for column in answer.columns:
            getattr(row, column.attribute)


def test_a_baseline_begins_before_a_short_window(asked):
    now = datetime(2026, 11, 24, tzinfo=UTC)
    question = asked("user", since=now - timedelta(hours=1), until=now)
    assert REPORTS["anomalies"].reach(question) == (now - timedelta(days=8), now + timedelta(days=6))
    assert REPORTS["cost"].reach(question) == (question.since, question.until)
