from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw import AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.reports.cost import REPORT
from auditmw.reports.grouping import GROUPINGS
from auditmw.reports.report import Question

cost = REPORT.answer


def test_calls_cost_and_mean_latency_are_told_by_user_and_day(make, asked):
    yesterday = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
    answer = cost(
        [
            make(cost_nano=3, latency_us=1000),
            make(cost_nano=4, latency_us=2000),
            make(user_id="bob", cost_nano=100),
            make(yesterday, cost_nano=1),
        ],
        asked("user", "day"),
    )
    assert [(row.day, row.user, row.calls, row.cost_nano, row.mean_latency_us) for row in answer.rows] == [
        ("2026-11-23", "alice", 1, 1, 500_000),
        ("2026-11-24", "bob", 1, 100, 500_000),
        ("2026-11-24", "alice", 2, 7, 1500),
    ]
    assert [column.name for column in answer.columns] == [
        "user_id", "day", "calls", "tokens", "cost_usd", "unpriced_calls", "mean_latency_ms",
    ]  # fmt: skip
    assert not answer.notes


def test_unknown_prices_stand_beside_the_cost_and_are_never_0(make, asked):
    answer = cost([make(cost_nano=None, cost_status="unknown_model"), make(cost_nano=5)], asked("user"))
    (row,) = answer.rows
    assert (row.cost_nano, row.unpriced) == (5, 1)
    assert answer.notes == ["1 of 2 calls have no price, or only part of one: the cost shown is a lower bound"]
    (unknown,) = cost([make(cost_nano=None, cost_status="unknown_model")], asked("user")).rows
    assert unknown.cost_nano is None


def test_a_group_without_any_latency_has_no_mean(make, asked):
    (row,) = cost([make(latency_us=None, input_tokens=None, output_tokens=None)], asked("user")).rows
    assert row.mean_latency_us is None
    assert row.tokens is None


def test_calls_without_a_user_are_a_group_of_their_own(make, asked):
    rows = cost([make(user_id=None), make(user_id="zoe")], asked("user")).rows
    assert [row.user for row in rows] == ["zoe", None]


def test_a_team_is_a_tag_of_the_metadata(make, asked):
    entries = [make(metadata={"team": "support"}), make(metadata={"team": 7}), make(metadata={"other": 1}), make()]
    rows = cost(entries, asked("team", "tenant", "model")).rows
    assert {row.team: row.calls for row in rows} == {"support": 1, "7": 1, None: 2}


def test_no_group_at_all_is_one_sum(make, asked):
    (row,) = cost([make(), make(user_id="bob")], asked()).rows
    assert row.calls == 2


@pytest.mark.parametrize("by", [("colour",), ("user", "user")])
def test_a_grouping_that_there_is_not_is_refused(by, asked):
    with pytest.raises(ConfigurationError, match=r"use user, model, tenant, team, app, action, day|name each once"):
        cost([], asked(*by))


@given(
    st.lists(
        st.builds(
            AuditEntry,
            request_id=st.uuids().map(str),
            timestamp_us=st.integers(0, 4 * 10**15),
            user_id=st.none() | st.sampled_from("abc"),
            tenant=st.none() | st.sampled_from("xy"),
            cost_nano=st.none() | st.integers(0, 10**15),
            status=st.sampled_from(["success", "error"]),
        ),
        max_size=30,
    ),
    st.lists(st.sampled_from(sorted(GROUPINGS)), unique=True),
)
def test_however_it_is_grouped_the_sums_are_the_same(entries, by):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rows = cost(entries, Question(since=epoch, until=epoch, by=by)).rows
    assert sum(row.calls for row in rows) == len(entries)
    assert sum(row.cost_nano or 0 for row in rows) == sum(entry.cost_nano or 0 for entry in entries)
    assert len({tuple(getattr(row, name) for name in by) for row in rows}) == len(rows)


def test_the_month_is_projected_from_its_last_whole_days(make, asked):
    first = datetime(2026, 11, 1, 9, tzinfo=UTC)
    entries = [make(first.replace(day=day), cost_nano=2 * 10**9) for day in range(1, 11)]
    question = asked("user", since=first.replace(hour=0), until=datetime(2026, 11, 11, tzinfo=UTC))
    (note,) = cost(entries, question).notes
    assert note == (
        "November 2026 has cost $20.00 so far and comes to about $60.00, if it goes on as in the last 7 whole days "
        "($2.00 a day)"
    )


def test_a_month_that_has_hardly_begun_is_not_projected(make, asked):
    first = datetime(2026, 11, 1, tzinfo=UTC)
    question = asked("user", since=first, until=datetime(2026, 11, 3, tzinfo=UTC))
    assert not cost([make(first, cost_nano=10**9)], question).notes
