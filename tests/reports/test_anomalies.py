from datetime import UTC, datetime, timedelta

import pytest

from auditmw.errors import ConfigurationError
from auditmw.reports.anomalies import ENOUGH_CALLS, MOST, REPORT
from auditmw.reports.grouping import GROUPINGS

anomalies = REPORT.answer

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def usual(make, count, **fields):
    return [make(input_tokens=80 + 7 * (number % 6), **fields) for number in range(count)]


def test_a_call_of_many_tokens_is_found_in_a_small_sample(make, asked):
    wild = make(input_tokens=9000)
    (found,) = anomalies([*usual(make, ENOUGH_CALLS - 1), wild], asked("user", "model")).rows
    assert found.request_id == wild.request_id
    assert found.rules == "MAD"
    assert (found.baseline, found.baseline_calls, found.tokens) == ("the same user, model", ENOUGH_CALLS, 9020)
    assert 100 <= found.median_tokens <= 135
    assert found.score > 3.5


def test_in_a_large_sample_both_rules_find_it(make, asked):
    (found,) = anomalies([*usual(make, 40), make(input_tokens=9000)], asked("user", "model")).rows
    assert found.rules == "3 sigma, MAD"
    assert found.tokens > found.limit_tokens > found.median_tokens


def test_usual_traffic_raises_no_alarm(make, asked):
    answer = anomalies(usual(make, 200), asked("user", "model"))
    assert not answer.rows
    assert not answer.notes


def test_among_equal_calls_one_of_less_than_twice_the_tokens_is_not_unusual(make, asked):
    same = [make(input_tokens=100) for _ in range(9)]
    assert not anomalies([*same, make(input_tokens=200)], asked("user")).rows
    assert anomalies([*same, make(input_tokens=300)], asked("user")).rows


def test_a_user_of_few_calls_is_judged_by_those_of_the_model(make, asked):
    wild = make(user_id="new", input_tokens=9000)
    (found,) = anomalies([*usual(make, 10), wild], asked("user", "model")).rows
    assert (found.user, found.baseline, found.baseline_calls) == ("new", "the same model", 11)


def test_what_is_usual_for_one_user_is_unusual_for_another(make, asked):
    heavy = [make(user_id="heavy", input_tokens=8000 + 50 * number) for number in range(10)]
    wild = make(input_tokens=9000)
    (found,) = anomalies([*heavy, *usual(make, 10), wild], asked("user", "model")).rows
    assert found.request_id == wild.request_id


def test_too_few_calls_are_not_judged_and_that_is_said(make, asked):
    answer = anomalies([make(), make(input_tokens=9000)], asked("user", "model"))
    assert not answer.rows
    assert answer.notes == ["2 of 2 calls could not be judged: fewer than 8 are like them"]


def test_calls_before_the_window_are_baseline_only(make, asked):
    before = NOON - timedelta(days=3)
    old = [make(before, input_tokens=9000), *usual(make, 20, at=before)]
    question = asked("user", "model", since=NOON - timedelta(hours=1))
    assert not anomalies(old, question).rows
    wild = make(input_tokens=9500)
    (found,) = anomalies([*old, wild], question).rows
    assert (found.request_id, found.baseline_calls) == (wild.request_id, 22)


def test_calls_that_tell_no_tokens_are_left_out(make, asked):
    silent = [make(input_tokens=None, output_tokens=None, status="cancelled") for _ in range(20)]
    answer = anomalies([*silent, *usual(make, 10), make(input_tokens=9000)], asked("user"))
    assert answer.rows[0].baseline_calls == 11


def test_the_most_unusual_comes_first(make, asked):
    entries = [*usual(make, 30), make(input_tokens=4000), make(input_tokens=9000)]
    assert [row.tokens for row in anomalies(entries, asked()).rows] == [9020, 4020]
    assert anomalies(entries, asked()).rows[0].baseline == "all"


def test_a_grouping_that_there_is_not_is_refused(asked):
    with pytest.raises(ConfigurationError, match=", ".join(GROUPINGS)):
        anomalies([], asked("colour"))


def test_of_more_than_can_be_read_the_most_unusual_are_listed(make, asked):
    entries = [
        make(user_id=f"user-{user}", input_tokens=size)
        for user in range(MOST)
        for size in (*range(80, 80 + ENOUGH_CALLS), int(9000 * 1.02**user), 9000)
    ]
    answer = anomalies(entries, asked("user", "model"))
    assert len(answer.rows) == MOST
    assert [row.user for row in answer.rows[:3]] == [f"user-{MOST - place}" for place in (1, 2, 3)]
    assert "500 most unusual" in answer.notes[0]
