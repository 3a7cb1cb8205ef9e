import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.reports.statistics import MAD_TO_SIGMA, log_spread, median_spread, wilson
from auditmw.rollups.buckets import bucket_of, count_each, each, middle


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 100, 0.0018, 0.0545)],
)
def test_the_interval_is_that_of_published_tables(hits, total, low, high):
    assert wilson(hits, total) == pytest.approx((low, high), abs=1e-4)


def test_of_nothing_there_is_no_interval():
    assert wilson(0, 0) is None


@given(st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_rate_and_lies_between_0_and_1(case):
    hits, total = case
    interval = wilson(hits, total)
    assert 0 <= interval.low <= hits / total <= interval.high <= 1


@given(st.integers(1, 1000), st.integers(2, 50))
def test_more_calls_of_the_same_rate_make_the_interval_narrower(hits, times):
    few, many = wilson(hits, hits * 3), wilson(hits * times, hits * 3 * times)
    assert many.high - many.low < few.high - few.low


def test_a_single_value_has_no_spread():
    assert median_spread([7]) == (7, 0)


def test_the_robust_width_of_a_normal_distribution_is_its_standard_deviation():
    normal = NormalDist(50, 8)
    spread = median_spread([normal.inv_cdf((place + 0.5) / 1001) for place in range(1001)])
    assert spread.middle == pytest.approx(50)
    assert spread.width == pytest.approx(8, rel=0.01)


@given(st.lists(st.floats(0, 100), min_size=9, max_size=30), st.floats(1e6, 1e12))
def test_one_wild_value_moves_the_robust_spread_only_within_the_others(values, wild):
    spread = median_spread([*values, wild])
    assert spread.middle <= max(values)
    assert math.isfinite(spread.width)
    assert spread.width <= 1.4826 * (max(values) - min(values)) + 1e-9


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=60))
def test_the_spread_of_buckets_is_that_of_what_was_counted_into_them(values):
    logarithms = sorted(math.log1p(middle(bucket_of(value))) for value in values)
    centre = logarithms[(len(values) - 1) // 2]
    deviation = sorted(abs(value - centre) for value in logarithms)[(len(values) - 1) // 2]
    assert log_spread(each(count_each(values))) == (centre, MAD_TO_SIGMA * deviation)
