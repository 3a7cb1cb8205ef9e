"""What the answer cost, where the unit prices are at hand; the writer prices the rest."""

from __future__ import annotations

from collections.abc import Generator

from auditmw.call import Call
from auditmw.middleware.protocol import Services


class CostCalculator:
    """Sets `call.cost` of an `llm` call from the trail's price book.

    Prices are never loaded or searched here: what the book has not cached yet stays None and is priced by the writer,
    before the entry is stored.
    """

    def __init__(self) -> None:
        self._services: Services | None = None

    def bind(self, services: Services) -> CostCalculator:
        """A copy that uses this trail's price book."""
        bound = CostCalculator()
        bound._services = services
        return bound

    def around(self, call: Call) -> Generator[None, None, None]:
        """Look the cost up when the attempt has ended; a cost that another middleware has set stays."""
        yield
        if self._services is not None and call.kind == "llm" and call.cost is None:
            call.cost = self._services.prices.lookup(call)
