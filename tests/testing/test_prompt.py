from hypothesis import given
from hypothesis import strategies as st

from auditmw.testing.prompt import Part, PromptCache, PromptTokens, count_parts

parts = st.lists(st.builds(Part, st.text(max_size=40), st.sampled_from([None, "5m", "1h"])), max_size=8)


@given(st.lists(parts, max_size=4))
def test_the_four_counts_always_add_up_to_the_whole_prompt(prompts: list[list[Part]]):
    cache = PromptCache()
    for prompt in prompts:
        assert cache.count("model", prompt).total == count_parts(prompt)


@given(parts)
def test_the_same_prompt_again_is_read_up_to_its_last_breakpoint(prompt: list[Part]):
    cache = PromptCache()
    first = cache.count("model", prompt)
    again = cache.count("model", prompt)
    assert again == PromptTokens(first.uncached, read=first.written_5m + first.written_1h)


def test_a_longer_prompt_reads_what_is_known_and_writes_the_rest_under_its_own_lifetime():
    cache = PromptCache()
    cache.count("model", [Part("a" * 400, "5m")])
    counts = cache.count("model", [Part("a" * 400), Part("b" * 40, "1h"), Part("c" * 4)])
    assert counts == PromptTokens(uncached=5, read=104, written_1h=14)


def test_models_share_no_cache():
    cache = PromptCache()
    cache.count("one", [Part("text", "5m")])
    assert cache.count("other", [Part("text", "5m")]).read == 0


def test_an_image_weighs_the_same_whatever_its_bytes():
    small = {"type": "image", "source": {"type": "base64", "data": "A"}}
    large = {"type": "image", "source": {"type": "base64", "data": "A" * 100_000}}
    assert Part([small]).tokens == Part([large]).tokens
