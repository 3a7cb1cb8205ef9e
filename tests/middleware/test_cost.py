"""The middleware that sets the cost where it is known at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from auditmw.call import Call
from auditmw.entry import Cost, Usage
from auditmw.middleware.cost import CostCalculator
from auditmw.prices import PriceBook

book = PriceBook({"m": {"input": "2", "output": "10"}})
bound = CostCalculator().bind(SimpleNamespace(prices=book))  # type: ignore[arg-type]  # all that it uses of a trail


def run(middleware: CostCalculator, **changes: Any) -> Call:
    call = Call(request_id="r", timestamp_us=0, model="m", **changes)
    halves = middleware.around(call)
    next(halves)
    call.usage = Usage(input_tokens=1000, output_tokens=0)
    with pytest.raises(StopIteration):
        next(halves)
    return call


def test_the_cost_is_left_to_the_writer_until_the_price_is_known_and_set_from_then_on() -> None:
    call = run(bound)
    assert call.cost is None
    assert book.price(call).nano == 2_000_000
    assert run(bound).cost == book.price(call)


def test_a_blocked_call_is_not_billed_at_once() -> None:
    assert run(bound, status="blocked").cost == Cost(status="not_billed")


def test_a_cost_that_another_middleware_set_stays() -> None:
    own = Cost(status="priced", nano=7)
    assert run(bound, cost=own).cost is own


@pytest.mark.parametrize("kind", ["function", "request"])
def test_only_generating_calls_have_a_cost(kind: Any) -> None:
    assert run(bound, kind=kind, status="blocked").cost is None


def test_without_a_trail_no_cost_is_set() -> None:
    assert run(CostCalculator(), status="blocked").cost is None
