"""Puts an application's own reads on record, where its trail asks for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditmw.context import current_binding
from auditmw.intake import Intake
from auditmw.privacy.governance import Governance
from auditmw.privacy.reads import is_recorded
from auditmw.querying import Record, Told, Wanted, about_query, say_nothing
from auditmw.stores.protocol import Store


class Readers:
    """Those who read one trail. `begin` starts its recording, and raises where that cannot be."""

    def __init__(self, governance: Governance, sink: Intake, begin: Callable[[], None]) -> None:
        self._governance = governance
        self._sink = sink
        self._begin = begin

    def of(self, what: str, *, actor: str | None = None, purpose: str | None = None, **about: Any) -> Record:
        """What puts a read of this kind on record; by whoever is bound to the running task if no actor is given."""
        if actor is None and (binding := current_binding()) is not None:
            actor = binding.user_id
        said = {name: value for name, value in {"what": what, "purpose": purpose, **about}.items() if value is not None}

        async def record(store: Store) -> Told:
            if not is_recorded(await self._governance.reads_in(store), what):
                return say_nothing
            self._begin()
            return tell

        def tell(count: int | None) -> None:
            counted = {} if count is None else {"count": count}
            self._sink.control("read", user_id=actor, **said, **counted)

        return record

    def of_query(self, wanted: Wanted) -> Record:
        """The same of a query, and of whom it asked."""
        asked: dict[str, Any] = {**wanted}
        purpose = asked.pop("restricted", None)
        return self.of("query" if purpose is None else "restricted", purpose=purpose, **about_query(asked))
