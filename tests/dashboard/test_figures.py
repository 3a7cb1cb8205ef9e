"""Sums over time, and the charts that are drawn of them."""

import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.dashboard.charts import draw, ticks
from auditmw.dashboard.figures import REST, as_sums, panels
from auditmw.dashboard.selection import DAYS, day, number, read_selection, span_of
from auditmw.errors import ConfigurationError
from auditmw.rollups.buckets import count_each, one
from auditmw.rollups.days import DayCell
from auditmw.rollups.hours import HourCell

from .conftest import NOW

SPAN = span_of(7, NOW)


def cell(user, days_ago=0, **sums):
    return DayCell(user=user, day=f"{NOW - timedelta(days=days_ago):%Y-%m-%d}", **{"calls": 1, **sums})


def panel(cells, name, split="user", span=SPAN, times=()):
    return next(found for found in panels(cells, times, span, split) if found.name == name)


def test_the_dearest_groups_have_a_colour_and_the_rest_shares_one():
    cells = [cell(f"user-{n}", priced_nano=n, priced=1) for n in range(9)]
    assert list(panel(cells, "cost").series) == ["user-8", "user-7", "user-6", "user-5", "user-4", REST]
    assert panel(cells, "cost").series[REST][-1] == 0 + 1 + 2 + 3


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 6), st.integers(0, 1000)), max_size=40))
def test_the_charts_add_up_to_their_totals(rows):
    cells = [cell(user, ago, all_tokens=tokens) for user, ago, tokens in rows]
    for name, expected in (("calls", len(rows)), ("tokens", sum(tokens for *_, tokens in rows))):
        assert sum(sum(values) for values in panel(cells, name).series.values()) == expected


def test_a_cost_that_nobody_knows_is_unknown_and_not_zero():
    assert panel([cell("alice", unpriced=1)], "cost").total == "unknown"


def test_a_rate_has_what_was_sent_as_its_denominator():
    shown = panel([cell("alice", calls=10, blocked=2, errors=2)], "errors")
    assert (shown.total, shown.detail) == ("25.0 %", "2 of 8 calls that were sent")
    assert panel([cell("alice", blocked=1)], "errors").total == "none sent"


def test_latency_is_told_in_quantiles_and_absent_where_nothing_succeeded():
    today = f"{NOW:%Y-%m-%d}"
    times = [
        HourCell(
            day=today, status="success", calls=100, latency=count_each([1_000_000] * 99 + [9_000_000]), ttft=one(7)
        ),
        HourCell(day=today, status="error", calls=1, latency=one(60_000_000)),
    ]
    shown = panel([cell("alice")], "latency", times=times)
    assert (shown.kind, shown.own_series) == ("lines", True)
    assert shown.total == "1.02 s, 1.02 s, 1.02 s"
    assert [values[-1] for values in shown.series.values()] == [1_015_808, 1_015_808, 1_015_808, 7]
    assert shown.series["p50"][:-1] == [None] * 6
    assert panel([cell("alice")], "latency").total == "-, -, -"


def test_hours_tell_by_their_endings_what_failed_and_what_was_blocked():
    ended = {"success": 5, "error": 2, "incomplete": 1, "blocked": 3}
    sums = [as_sums(HourCell(hour="2026-11-24T09", model="m", status=name, calls=n)) for name, n in ended.items()]
    assert [(total.calls, total.errors, total.blocked) for total in sums] == [
        (5, 0, 0),
        (2, 2, 0),
        (1, 1, 0),
        (3, 0, 3),
    ]
    shown = panel(sums, "errors", "model", span_of(1, NOW))
    assert (shown.total, shown.detail) == ("37.5 %", "3 of 8 calls that were sent")


def test_an_hour_is_a_step_of_a_single_day():
    span = span_of(1, NOW)
    assert (len(span.steps), span.steps[-1], span.labels[-1]) == (24, "2026-11-24T15", "15:00")


@pytest.mark.parametrize("days", DAYS[1:])
def test_days_end_with_today(days):
    span = span_of(days, NOW)
    assert (len(span.steps), span.steps[-1], span.labels[-1]) == (days, "2026-11-24", "Nov 24")
    assert span.until - span.since == timedelta(days=days)


def test_a_selection_has_defaults_and_limits():
    assert read_selection({}, NOW).split == "user"
    assert read_selection({"days": "1", "split": "user"}, NOW).split == "model"
    for wrong in ({"days": "31"}, {"split": "x"}, {"days": "9" * 30}):
        with pytest.raises(ConfigurationError):
            read_selection(wrong, NOW)
    with pytest.raises(ConfigurationError):
        number("٣", "before")
    assert day("") is None


@given(st.integers(0, 10**15))
def test_ticks_are_few_round_and_reach_the_top(top):
    found = ticks(top)
    assert found[0] == 0
    assert found[-1] >= top
    assert 2 <= len(found) <= 6


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_a_chart_has_neither_script_nor_style_nor_id(kind):
    svg = draw(kind, ["a", "b"], {"<script>alert(1)</script>": [1, None], "y": [3, 4]}, show=str, title='"x"')
    tree = ET.fromstring(svg)
    assert not {"script", "style", "defs"} & {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert not [element for element in tree.iter() if {"style", "id", "onclick"} & set(element.attrib)]
    assert "<script" not in svg
    titles = [element.text for element in tree.iter() if element.tag.endswith("title")]
    assert "<script>alert(1)</script>, a: 1" in titles
    assert not re.search(r"\d\.\d\d", re.sub(r"<title>.*?</title>", "", svg))


@pytest.mark.parametrize("kind", ["bars", "lines"])
@pytest.mark.parametrize("values", [[0, 0], [None, None]])
def test_a_chart_of_nothing_is_drawn_too(kind, values):
    assert draw(kind, ["a", "b"], {"a": values}, show=str, title="x").startswith("<svg")
