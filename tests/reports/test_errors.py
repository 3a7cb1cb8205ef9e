import pytest

from auditmw.reports.errors import REPORT

errors = REPORT.answer


def test_the_rate_has_its_denominator_and_its_interval(make, asked):
    entries = [make(status="error", error_type="overloaded_error"), *(make() for _ in range(9))]
    (row,) = errors(entries, asked("model")).rows
    assert (row.model, row.errors, row.sent, row.rate) == ("claude-haiku-4-5", 1, 10, 0.1)
    assert (row.low, row.high) == pytest.approx((0.0179, 0.4042), abs=1e-4)


def test_a_call_that_succeeded_at_last_is_no_error_but_was_retried(make, asked):
    (row,) = errors([make(call_id="c", status="error"), make(call_id="c", attempt=1)], asked("model")).rows
    assert (row.errors, row.sent, row.retried) == (0, 1, 1)


def test_blocked_calls_were_never_sent(make, asked):
    (row,) = errors([make(status="blocked")], asked("model")).rows
    assert (row.sent, row.blocked, row.rate, row.low, row.high) == (0, 1, None, None, None)


@pytest.mark.parametrize(("status", "is_error"), [("incomplete", True), ("cancelled", False), ("abandoned", False)])
def test_what_the_provider_cut_off_is_an_error_and_what_the_caller_left_is_not(status, is_error, make, asked):
    (row,) = errors([make(status=status)], asked("model")).rows
    assert (row.sent, row.errors) == (1, is_error)


def test_the_most_common_type_of_error_is_named(make, asked):
    types = ["b_error", "a_error", "b_error", "a_error", None]
    (row,) = errors([make(status="error", error_type=name) for name in types], asked("model")).rows
    assert row.most_common == "a_error"
    assert row.types["error"] == 1


def test_the_worst_model_comes_first(make, asked):
    entries = [make(model="good"), make(model="bad", status="error"), make(model="idle", status="blocked")]
    assert [row.model for row in errors(entries, asked("model")).rows] == ["bad", "good", "idle"]


def test_by_error_each_row_is_a_share_of_all_that_was_sent_of_its_group(make, asked):
    entries = [
        make(status="error", error_type="overloaded_error"),
        make(status="error", error_type="overloaded_error"),
        make(status="incomplete"),
        make(status="blocked"),
        *(make() for _ in range(7)),
    ]
    answer = errors(entries, asked("model", "error"))
    assert [(row.error, row.errors, row.sent, row.rate) for row in answer.rows] == [
        ("overloaded_error", 2, 10, 0.2),
        ("incomplete", 1, 10, 0.1),
    ]
    assert [column.name for column in answer.columns][:4] == ["model", "error", "calls_sent", "errors"]
    assert [(row.status, row.errors) for row in errors(entries, asked("status")).rows] == [
        ("error", 2),
        ("incomplete", 1),
    ]
