import csv
import io
import json

import pytest

from auditmw import AuditTrail
from auditmw.testing import FakeClock


def test_cost_is_told_by_user_and_day(auditmw, db, today):
    result = auditmw("report", "cost", db=db)
    assert result.code == 0
    assert f"alice {today} 2" in result.words
    assert "$0.0352" in result.out
    assert "█" in result.out
    assert "Note: 2 of 4 calls have no price" in result.err


def test_a_report_as_json_has_exact_money_and_null_where_nothing_is_known(auditmw, db, today):
    rows = [json.loads(line) for line in auditmw("report", "cost", "--format", "json", db=db).out.splitlines()]
    alice, *others = rows
    assert (alice["user_id"], alice["day"], alice["calls"], alice["cost_usd"]) == ("alice", today, 2, "0.035162")
    assert alice["mean_latency_ms"] > 0
    assert [row["cost_usd"] for row in others] == [None, None]


def test_a_report_as_csv_holds_no_formula(auditmw, db):
    rows = list(
        csv.DictReader(io.StringIO(auditmw("report", "cost", "--by", "model,team", "--format", "csv", db=db).out))
    )
    assert {row["model"] for row in rows} >= {"'=1+1", "claude-opus-4-7"}
    assert {row["team"] for row in rows} >= {"'@SUM(A1)", ""}


def test_errors_have_a_denominator_and_an_interval(auditmw, db):
    result = auditmw("report", "errors", "--format", "json", db=db)
    rows = {row["model"]: row for row in map(json.loads, result.out.splitlines())}
    assert (rows["m"]["calls_sent"], rows["m"]["errors"], rows["m"]["retried_calls"]) == (1, 0, 1)
    assert rows["m"]["error_rate_high"] > 0.5
    assert "0.0 %" in auditmw("report", "errors", db=db).out


def test_an_unusual_call_is_shown_with_its_baseline(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with AuditTrail("sqlite:///many.db") as trail:
        for tokens in (*range(100, 112), 9000):
            with trail.call(user_id="alice", model="claude-haiku-4-5", provider="anthropic") as call:
                usage = {"input_tokens": tokens, "output_tokens": 5}
                call.response = {"type": "message", "role": "assistant", "content": [], "usage": usage}
    result = auditmw("report", "anomalies", db="sqlite:///many.db")
    assert "9,005 the same user, model 13" in result.words
    assert auditmw("report", "anomalies", "--since", "-1h", "--by", "model", db="sqlite:///many.db").code == 0


def test_several_days_are_drawn_as_a_line(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clock = FakeClock()
    with AuditTrail("sqlite:///days.db", clock=clock) as trail:
        for _ in range(3):
            with trail.call(user_id="alice", model="m"):
                clock.advance(3600 * 24)
    result = auditmw("report", "cost", "--since", "2025-12-30", db="sqlite:///days.db")
    assert "cost a day ▁▁▁ 2026-01-01 to 2026-01-03" in result.words


def test_a_window_is_cut_out_of_the_trail(auditmw, db):
    result = auditmw("report", "cost", "--until", "-1h", db=db)
    assert (result.code, result.out) == (0, "")
    assert "nothing to report" in result.err


def test_a_tenant_is_cut_out_of_the_trail(auditmw, db):
    assert len(auditmw("report", "cost", "--tenant", "acme", "--format", "json", db=db).out.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["weather"], "there is no report 'weather': use cost, anomalies, errors, surges"),
        (["cost", "--by", "colour"], "cannot group by 'colour'"),
        (["anomalies", "--by", "colour"], "cannot group by 'colour'"),
        (["cost", "--since", "-1h", "--until", "-2h"], "exchange them"),
        (["cost", "--since", "soon"], "is no date"),
        ([], "NAME"),
    ],
)
def test_wrong_usage_is_one_message_and_3(arguments, message, auditmw, db):
    result = auditmw("report", *arguments, db=db)
    assert (result.code, result.out) == (3, "")
    assert message in result.err
