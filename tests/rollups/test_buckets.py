from hypothesis import given
from hypothesis import strategies as st

from auditmw.rollups.buckets import add, bounds, bucket_of, from_text, middle, quantile, quantile_bucket, to_text

values = st.integers(0, 10**13)


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
    counts = {}
    for number in numbers:
        add(counts, {bucket_of(number): 1})
    rank = max(1, -int(-share * len(numbers) // 1))
    assert quantile_bucket(counts, share) == bucket_of(sorted(numbers)[rank - 1])


def test_of_nothing_there_is_no_quantile():
    assert quantile({}, 0.5) is None
    assert quantile_bucket({3: 0}, 0.5) is None


def test_what_is_below_0_counts_as_0():
    assert bucket_of(-5) == 0


@given(st.dictionaries(st.integers(0, 300), st.integers(1, 10**9)))
def test_counts_come_back_as_they_were_stored(counts):
    assert from_text(to_text(counts)) == counts


@given(st.dictionaries(st.integers(0, 9), st.integers(1, 9)), st.dictionaries(st.integers(0, 9), st.integers(1, 9)))
def test_what_was_added_can_be_taken_out(counts, others):
    both = dict(counts)
    add(both, others)
    add(both, others, -1)
    assert both == counts
