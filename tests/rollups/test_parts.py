import pytest

from auditmw.rollups.parts import NOTHING, cost_parts

PRICES = '{"cache_read":"0.3","cache_write_1h":"6","cache_write_5m":"3.75","input":"3","output":"15"}'


def test_the_parts_of_a_cost_are_told_in_picodollars():
    parts = cost_parts(PRICES, 100, 1000, 10, 1, 7)
    assert parts.input == 100 * 3_000_000
    assert parts.cache_read == 1000 * 300_000
    assert parts.cache_write == 10 * 3_750_000 + 6_000_000
    assert parts.output == 7 * 15_000_000
    assert parts.cache_saved == 1000 * 2_700_000 - 10 * 750_000 - 3_000_000


def test_multipliers_count_and_the_parts_of_a_sum_are_the_sum_of_the_parts():
    prices = PRICES[:-1] + ',"multipliers":{"batch":"0.5"}}'
    one, other, both = (cost_parts(prices, n, n, n, n, n) for n in (3, 5, 8))
    assert both == tuple(a + b for a, b in zip(one, other, strict=True))
    assert one.input == 3 * 1_500_000


@pytest.mark.parametrize("prices", [None, "{}", "[]", "no JSON", '{"parts":[{}]}', PRICES.replace('"3"', '"x"')])
def test_where_prices_are_not_known_nothing_is(prices):
    assert cost_parts(prices, 1, 1, 1, 1, 1) == NOTHING
