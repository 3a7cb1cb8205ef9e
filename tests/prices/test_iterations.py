"""Usage that is split over several samplings: each token once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from auditmw.iterations import Counts, Part, cache_writes, counts, parts, total

COUNT = st.integers(0, 1000)
ITERATIONS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["message", "compaction", "advisor_message", "fallback_message"])},
        optional={"input_tokens": COUNT, "output_tokens": COUNT, "cache_read_input_tokens": COUNT},
    ),
    min_size=1,
    max_size=4,
)


def test_a_usage_without_iterations_has_no_parts() -> None:
    assert parts({"input_tokens": 5}) == []
    assert parts({"iterations": None}) == []
    assert parts({"iterations": ["no object"]}) == []


def test_what_the_top_level_holds_beyond_its_iterations_is_a_part_of_its_own() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 4,
        "iterations": [{"type": "message", "input_tokens": 6, "model": "m"}],
    }
    assert parts(usage) == [Part("m", Counts(input=6)), Part(None, Counts(input=4, output=4))]


@given(ITERATIONS)
def test_a_top_level_that_sums_its_samplings_adds_nothing_to_them(iterations: list[dict]) -> None:
    inside = [counts(item) for item in iterations if item["type"] != "compaction"]
    top = [sum(values) for values in zip(Counts(), *inside, strict=True)]
    usage = {
        "input_tokens": top[0],
        "cache_read_input_tokens": top[1],
        "output_tokens": top[4],
        "iterations": iterations,
    }
    assert total(parts(usage)) == Counts(*(sum(v) for v in zip(*map(counts, iterations), strict=True)))


@given(ITERATIONS, COUNT)
def test_the_parts_never_hold_less_than_the_top_level(iterations: list[dict], top: int) -> None:
    assert total(parts({"input_tokens": top, "iterations": iterations})).input >= top


def test_cache_writes_keep_their_total() -> None:
    split = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 4}
    assert cache_writes({"cache_creation_input_tokens": 9, "cache_creation": split}) == (5, 4)
    assert cache_writes({"cache_creation_input_tokens": 3, "cache_creation": split}) == (0, 3)
    assert cache_writes({"cache_creation_input_tokens": 9, "cache_creation": {}}) == (9, None)
    assert cache_writes({"cache_creation": split}) == (1, 4)
    assert cache_writes({"cache_creation_input_tokens": True}) == (None, None)


def test_counts_that_are_none_are_not_invented() -> None:
    assert counts({"input_tokens": -1, "output_tokens": "5"}) == Counts()
    assert Counts(1, 2, 3, 4, 5).prompt == 10
