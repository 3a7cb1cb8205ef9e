from datetime import timedelta
from math import inf

import pytest

from auditmw.reports.surges import REPORT, Surge

surges = REPORT.answer


@pytest.fixture
def days(make, asked):
    """Four weeks of two users that cost about the same each day."""
    until = asked().until

    def entries(**usual):
        return [
            make(until - timedelta(days=day, hours=2), user_id=user, cost_nano=10**9 + day * 10**7, **usual)
            for day in range(28)
            for user in ("alice", "bob")
        ]

    return entries


def test_a_day_of_ten_times_the_usual_cost_is_found_with_its_baseline(days, make, asked):
    (found,) = surges([*days(), make(user_id="bob", cost_nano=10**10)], asked("user")).rows
    assert (found.user, found.day, found.calls) == ("bob", "2026-11-24", 2)
    assert (found.baseline, found.baseline_days) == ("the same user", 28)
    assert found.factor == pytest.approx(9.7, abs=0.2)
    assert found.score > 3.5


def test_usual_days_raise_no_alarm(days, asked):
    assert not surges(days(), asked("user")).rows


def test_a_new_user_is_judged_by_the_days_of_all(days, make, asked):
    (found,) = surges([*days(), make(user_id="new", cost_nano=10**11)], asked("user")).rows
    assert (found.user, found.baseline) == ("new", "all")


def test_what_is_unusual_and_does_not_matter_raises_no_alarm(days, make, asked):
    tiny = [make(asked().until - timedelta(days=day, hours=2), user_id="tiny", cost_nano=10) for day in range(20)]
    assert not surges([*days(), *tiny, make(user_id="tiny", cost_nano=10**6)], asked("user")).rows


def test_a_surge_before_the_window_is_baseline_only(days, make, asked):
    old = make(asked().until - timedelta(days=20), user_id="bob", cost_nano=10**11)
    assert not surges([*days(), old], asked("user")).rows


def test_too_few_days_are_not_judged(make, asked):
    assert not surges([make(), make(user_id="bob", cost_nano=10**12)], asked("user")).rows


def test_more_than_nothing_is_infinitely_more():
    surge = Surge(calls=1, cost_nano=1, baseline="all", baseline_days=9, median_nano=0, score=9.0)
    assert surge.factor == inf
