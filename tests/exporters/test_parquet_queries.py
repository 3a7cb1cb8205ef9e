"""The questions that docs/exports.md asks of Parquet files have the answers that the reports give."""

import json
import re
from pathlib import Path

import pytest

from auditmw import AuditTrail
from auditmw.cli.app import run

duckdb = pytest.importorskip("duckdb", reason="the queries need duckdb")
pytest.importorskip("pyarrow", reason="needs the extra parquet")

PAGE = Path(__file__).parents[2] / "docs" / "exports.md"
QUERIES = dict(re.findall(r"```sql (\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL))


def answer_to(tokens):
    return {
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-7",
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": tokens, "output_tokens": 5, "cache_read_input_tokens": 10},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trail with a retry, errors, a blocked call and one that is far too long, and what was exported of it."""
    folder = tmp_path_factory.mktemp("queries")
    with AuditTrail(f"sqlite:///{folder}/trail.db") as trail:
        for number in range(40):
            user = ("alice", "bob")[number % 2]
            tokens = 90_000 if number == 39 else 100 + number
            with trail.call(model="claude-opus-4-7", provider="anthropic", user_id=user) as call:
                call.response = answer_to(tokens)
        with pytest.raises(RuntimeError), trail.call(call_id="tried", model="m", user_id="bob"):
            raise RuntimeError("overloaded")
        with trail.call(call_id="tried", attempt=1, model="m", user_id="bob"):
            pass
        with pytest.raises(RuntimeError), trail.call(model="m", user_id="alice"):
            raise RuntimeError("overloaded")
    url = f"sqlite:///{folder}/trail.db"
    assert run(["export", "--db", url, "--format", "parquet", "--out", f"{folder}/november.parquet"]) == 0
    return folder


@pytest.fixture
def asked(folder, monkeypatch):
    """The rows of a query of the page."""
    monkeypatch.chdir(folder)
    with duckdb.connect() as db:
        db.execute(QUERIES["duckdb"])
        db.execute(QUERIES["calls"])

        def ask(name):
            found = db.execute(
                QUERIES[name]
                .replace("min(timestamp)", "epoch(min(timestamp))")
                .replace("max(timestamp)", "epoch(max(timestamp))")
            )
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

        yield ask


@pytest.fixture
def reported(folder, capsys):
    """The rows of a report."""

    def report(*arguments):
        capsys.readouterr()
        assert run(["report", *arguments, "--db", f"sqlite:///{folder}/trail.db", "--format", "json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return report


def test_cost_is_that_of_the_report(asked, reported):
    def told(rows):
        return {(r["user_id"], str(r["day"]), r["calls"], float(r["cost_usd"] or 0)) for r in rows}

    assert told(asked("cost")) == told(reported("cost", "--by", "user,day"))


def test_errors_are_those_of_the_report(asked, reported):
    def told(rows):
        return {(r["model"], r["calls_sent"], r["errors"], round(float(r["error_rate"]), 6)) for r in rows}

    assert told(asked("errors")) == told(reported("errors", "--by", "model"))


def test_the_call_that_is_far_too_long_is_found_by_both(asked, reported):
    (found,) = asked("anomalies")
    assert found["tokens"] == 90_015
    assert found["request_id"] in {row["request_id"] for row in reported("anomalies")}


@pytest.mark.parametrize("name", sorted(set(QUERIES) - {"duckdb", "calls"}))
def test_every_query_of_the_page_runs(name, asked):
    assert asked(name) or name == "redactions"
