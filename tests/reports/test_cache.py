from auditmw.reports.cache import REPORT

cache = REPORT.answer
PRICES = {"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "cache_write_1h": "6", "output": "15"}


def test_what_was_read_saves_and_what_was_written_costs(make, asked):
    entries = [
        make(cache_read_tokens=1000, cache_write_5m_tokens=0, unit_prices=PRICES),
        make(cache_read_tokens=0, cache_write_5m_tokens=400, unit_prices=PRICES),
    ]
    (row,) = cache(entries, asked("model")).rows
    assert row.saved_nano == 1000 * 2700 - 400 * 750
    assert (row.prompt_tokens, row.read_tokens, row.written_tokens) == (1600, 1000, 400)
    assert row.hit_rate == 1000 / 1600


def test_a_cache_that_is_written_and_never_read_is_a_loss_and_comes_first(make, asked):
    entries = [
        make(model="good", cache_read_tokens=1000, unit_prices=PRICES),
        make(model="broken", cache_write_1h_tokens=1000, unit_prices=PRICES),
    ]
    answer = cache(entries, asked("model"))
    assert [(row.model, row.saved_nano) for row in answer.rows] == [("broken", -3_000_000), ("good", 2_700_000)]
    assert answer.notes == ["1 of 2 groups lost money by caching: what they wrote was read too rarely"]


def test_without_prices_nothing_is_said_to_be_saved(make, asked):
    (row,) = cache([make(cache_read_tokens=1000, input_tokens=None, cost_nano=None)], asked("model")).rows
    assert (row.saved_nano, row.cost_nano, row.hit_rate) == (0, None, 1.0)


def test_a_group_without_any_prompt_tokens_has_no_hit_rate(make, asked):
    (row,) = cache([make(input_tokens=None)], asked("model")).rows
    assert row.hit_rate is None
