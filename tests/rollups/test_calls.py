import random

from hypothesis import given
from hypothesis import strategies as st

from auditmw import AuditEntry
from auditmw.rollups.calls import calls_of, tokens_of


def test_a_call_is_its_last_attempt_with_the_cost_and_tokens_of_all(make):
    first = make(call_id="c", status="error", cost_nano=5, input_tokens=7, output_tokens=None)
    last = make(call_id="c", attempt=1, cost_nano=11, input_tokens=7, output_tokens=3)
    (call,) = calls_of([first, last])
    assert call.last is last
    assert (call.attempts, call.cost_nano, call.tokens, call.unpriced) == (2, 16, 17, False)


def test_attempts_may_come_in_any_order(make):
    attempts = [make(call_id="c", attempt=n, status="success" if n == 3 else "error") for n in range(4)]
    for order in range(10):
        random.Random(order).shuffle(attempts)
        (call,) = calls_of(attempts)
        assert (call.last.attempt, call.attempts) == (3, 4)


def test_only_llm_entries_are_calls(make):
    entries = [make(kind=kind) for kind in ("llm", "request", "function", "control")]
    assert [call.last.kind for call in calls_of(entries)] == ["llm"]


def test_an_attempt_without_a_call_id_is_a_call_of_its_own(make):
    entries = [make(call_id=None, status="error"), make(call_id=None, status="error")]
    assert len(list(calls_of(entries))) == 2


def test_a_cost_that_is_not_known_is_no_cost_of_0(make):
    (call,) = calls_of([make(cost_nano=None, cost_status="unknown_model")])
    assert (call.cost_nano, call.unpriced) == (None, True)


def test_a_lower_bound_counts_as_unpriced_and_still_costs(make):
    (call,) = calls_of([make(cost_nano=9, cost_status="partial", status="abandoned")])
    assert (call.cost_nano, call.unpriced) == (9, True)


def test_what_is_not_billed_is_priced(make):
    (call,) = calls_of([make(cost_nano=None, cost_status="not_billed", status="blocked")])
    assert (call.cost_nano, call.unpriced) == (None, False)


def test_tokens_are_the_sum_of_the_disjoint_counts(make):
    entry = make(cache_read_tokens=1000, cache_write_5m_tokens=10, cache_write_1h_tokens=1, thinking_tokens=15)
    assert tokens_of(entry) == 100 + 1000 + 10 + 1 + 20


def test_tokens_that_nobody_told_are_absent(make):
    assert tokens_of(make(input_tokens=None, output_tokens=None)) is None


_entries = st.lists(
    st.builds(
        AuditEntry,
        request_id=st.uuids().map(str),
        timestamp_us=st.just(0),
        call_id=st.sampled_from("abcdef"),
        attempt=st.integers(1, 5),
        status=st.sampled_from(["success", "error", "cancelled"]),
        cost_nano=st.none() | st.integers(0, 10**12),
    ),
    max_size=30,
)


@given(_entries)
def test_no_cost_and_no_attempt_is_lost_or_counted_twice(entries):
    calls = list(calls_of(entries))
    assert len(calls) == len({entry.call_id for entry in entries})
    assert sum(call.attempts for call in calls) == len(entries)
    assert sum(call.cost_nano or 0 for call in calls) == sum(entry.cost_nano or 0 for entry in entries)
