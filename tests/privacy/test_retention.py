"""Whether a class stays or goes, under a clock that the test sets."""

import os
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditmw.errors import ConfigurationError
from auditmw.privacy.periods import Period
from auditmw.privacy.retention import (
    ClassRules,
    Rule,
    check,
    decide,
    expired_before,
    free_before,
    row_expired_before,
)

EXAMPLES = int(os.environ.get("AUDITMW_RETENTION_EXAMPLES", "500"))
periods = st.one_of(
    st.builds(Period, st.integers(1, 120), st.just(0)), st.builds(Period, st.just(0), st.integers(1, 3000))
)
days = st.one_of(
    st.dates(date(1999, 1, 1), date(2110, 12, 31)),
    st.builds(
        lambda year, month: date(year, month, 1) - timedelta(days=1), st.integers(2000, 2110), st.integers(1, 12)
    ),
    st.sampled_from([date(2024, 2, 29), date(2096, 2, 29), date(2100, 2, 28), date(2023, 12, 31), date(2024, 12, 31)]),
)


def rules_of(name, bound):
    return st.lists(periods, max_size=2).map(lambda found: tuple(Rule("p", name, bound, one) for one in found))


rules = st.builds(ClassRules, rules_of("error", "kept"), rules_of("error", "gone"))


def by_hand(period, start):
    """The last day of a period, counted with the calendar alone: month by month, day by day."""
    year, month = start.year, start.month
    for _ in range(period.months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    day = start.day
    while True:
        try:
            last = date(year, month, day)
            break
        except ValueError:
            day -= 1
    for _ in range(period.days):
        last += timedelta(days=1)
    return last


@settings(max_examples=EXAMPLES, deadline=None)
@given(rules=rules, stored=days, age=st.integers(0, 5000), held=st.booleans(), erasure=st.booleans())
def test_nothing_goes_below_a_floor_or_under_a_hold_and_nothing_stays_above_a_ceiling(
    rules, stored, age, held, erasure
):
    today = stored + timedelta(days=age)
    decision = decide(rules, stored, today, held=held, erasure=erasure)
    below_floor = any(today <= by_hand(rule.period, stored) for rule in rules.floors)
    above_ceiling = any(today > by_hand(rule.period, stored) for rule in rules.ceilings)
    assert decision.removed == (not held and not below_floor and (erasure or above_ceiling))
    if decision.reason == "floor":
        assert today <= by_hand(decision.rule.period, stored)
    if decision.reason == "ceiling":
        assert today > by_hand(decision.rule.period, stored)


@settings(max_examples=EXAMPLES, deadline=None)
@given(rules=rules, today=days, around=st.integers(-40, 40))
def test_a_sweep_takes_exactly_what_the_decision_on_each_entry_would(rules, today, around):
    for cutoff, erasure in ((expired_before(rules, today), False), (free_before(rules, today), True)):
        stored = min(cutoff + timedelta(days=around), today) if cutoff.year > 1 else today
        assert decide(rules, stored, today, erasure=erasure).removed == (stored < cutoff)


@settings(max_examples=EXAMPLES, deadline=None)
@given(core=rules, error=rules, today=days, age=st.integers(0, 5000))
def test_a_row_goes_when_its_core_has_expired_and_no_floor_keeps_anything_in_it(core, error, today, age):
    stored = today - timedelta(days=age)
    classes = {"core": core, "error": error}
    gone = decide(core, stored, today).removed and decide(error, stored, today, erasure=True).removed
    assert (stored < row_expired_before(classes, today)) == gone


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("1 month", date(2026, 1, 31), date(2026, 3, 1)),
        ("1 month", date(2024, 1, 31), date(2024, 3, 1)),
        ("1 year", date(2024, 2, 29), date(2025, 3, 1)),
        ("4 years", date(2024, 2, 29), date(2028, 3, 1)),
        ("6 years", date(2026, 11, 24), date(2032, 11, 25)),
        ("90 days", date(2026, 11, 24), date(2027, 2, 23)),
        ("12 months", date(2099, 2, 28), date(2100, 3, 1)),
        ("9999 years", date(2026, 1, 1), date.max),
    ],
)
def test_a_period_counts_calendar_days_and_its_last_day_whole(text, start, end):
    assert Period.parse(text).end(start) == end


@pytest.mark.parametrize("text", ["", "2", "two years", "2 weeks", "-1 days", "0 days", "1.5 years", "10000 days"])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(ConfigurationError, match="is no period"):
        Period.parse(text)


@pytest.mark.parametrize("text", ["1 day", "90 days", "1 month", "18 months", "1 year", "6 years"])
def test_a_period_reads_as_it_is_written(text):
    assert str(Period.parse(text)) == text


def test_a_floor_above_a_ceiling_is_refused_with_the_names_of_both_rules():
    floor = Rule("sec", "error", "kept", Period.parse("366 days"))
    ceiling = Rule("own", "error", "gone", Period.parse("1 year"))
    expected = r"\[sec: error kept at least 366 days\] and \[own: error gone by 1 year\]"
    with pytest.raises(ConfigurationError, match=expected):
        check({"error": ClassRules((floor,), (ceiling,))})
    check({"error": ClassRules((Rule("sec", "error", "kept", Period.parse("365 days")),), (ceiling,))})


def test_a_floor_that_outlasts_the_row_it_lies_in_is_refused():
    floor = Rule("sec", "metadata", "kept", Period.parse("3 years"))
    ceiling = Rule("standard", "core", "gone", Period.parse("2 years"))
    with pytest.raises(
        ConfigurationError, match=r"sec: metadata kept at least 3 years.*standard: core gone by 2 years"
    ):
        check({"metadata": ClassRules((floor,)), "core": ClassRules((), (ceiling,))})
