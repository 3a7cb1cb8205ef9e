"""Runs of leaves, as declarations name them."""

from hypothesis import given
from hypothesis import strategies as st

from auditmw.log.findings import without
from auditmw.privacy.runs import portions, total

runs = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda run: (run[0], sum(run))), max_size=9)


def leaves(found):
    return [leaf for first, last in found for leaf in range(first, last + 1)]


@given(runs)
def test_runs_that_overlap_are_named_and_counted_once(found):
    named = [run for some in portions(found) for run in some]
    assert leaves(named) == sorted(set(leaves(found)))
    assert total(named) == len(set(leaves(found)))


@given(runs, runs)
def test_what_is_declared_already_is_left_out(found, taken):
    assert set(leaves(without(found, taken))) == set(leaves(found)) - set(leaves(taken))


def test_an_entry_names_so_many_runs_and_the_next_one_goes_on():
    apart = [(leaf, leaf) for leaf in range(0, 9000, 2)]
    assert [len(some) for some in portions(apart)] == [2000, 2000, 500]
