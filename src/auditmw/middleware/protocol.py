"""What the built-in middlewares need of a trail: they are bound to it when a pipeline is composed."""

from __future__ import annotations

from typing import Protocol

from auditmw.call import Call
from auditmw.keys import HashKey
from auditmw.prices import PriceBook


class Sink(Protocol):
    """Where sealed entries go: the journal and the writer behind it."""

    def intent(self, call: Call) -> None:
        """Note that the attempt is about to be sent: a crash from here on leaves an `interrupted` entry."""

    def seal(self, call: Call) -> None:
        """Make the attempt's entry: numbered, journalled, handed over. Never raises."""


class Services(Protocol):
    """What a trail lends to its middlewares."""

    @property
    def sink(self) -> Sink:
        """Where sealed entries go."""

    @property
    def prices(self) -> PriceBook:
        """Unit prices, looked up on the request path only where they are cached."""

    @property
    def hash_key(self) -> HashKey | None:
        """The key of the content digests; None where there is none, and digests stay null."""
