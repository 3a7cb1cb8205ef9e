from hypothesis import given
from hypothesis import strategies as st

from auditmw.rollups.buckets import (
    bounds,
    bucket_of,
    count_each,
    each,
    from_bytes,
    middle,
    one_in,
    quantile,
    quantile_bucket,
    to_bytes,
    total,
)

values = st.integers(0, 10**13)
many = st.lists(values, max_size=50).map(count_each)


@given(values)
def test_a_value_lies_in_its_bucket_which_is_at_most_an_eighth_wide(value):
    low, high = bounds(bucket_of(value))
    assert low <= value <= high
    assert high - low <= low / 8
    assert low <= middle(bucket_of(value)) <= high


@given(values, values)
def test_larger_values_lie_in_no_lower_buckets(one, other):
    assert (bucket_of(one) <= bucket_of(other)) or one > other


@given(st.lists(values, min_size=1), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(numbers, share):
    rank = max(1, -int(-share * len(numbers) // 1))
    assert quantile_bucket(count_each(numbers), share) == bucket_of(sorted(numbers)[rank - 1])


def test_of_nothing_there_is_no_quantile():
    assert quantile(0, 0.5) is None
    assert quantile_bucket(0, 0.5) is None


def test_what_is_below_0_counts_as_0():
    assert bucket_of(-5) == 0


@given(st.lists(values))
def test_each_bucket_holds_as_many_as_fell_into_it(numbers):
    counts = count_each(numbers)
    assert total(counts) == len(numbers)
    for bucket, count in enumerate(each(counts)):
        assert count == sum(bucket_of(number) == bucket for number in numbers)


@given(st.dictionaries(st.integers(0, 300), st.integers(1, 10**9)))
def test_counts_come_back_as_they_were_stored(counts):
    packed = sum(count * one_in(bucket) for bucket, count in counts.items())
    assert from_bytes(to_bytes(packed)) == packed
    assert {bucket: count for bucket, count in enumerate(each(packed)) if count} == counts


@given(many, many)
def test_what_was_added_can_be_taken_out_again_though_it_be_first(counts, others):
    assert -others + counts + others == counts
