"""Puts an application's own reads on record, where its trail asks for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditmw.context import current_binding
from auditmw.intake import Intake
from auditmw.privacy.governance import Governance
from auditmw.privacy.reads import is_recorded
from auditmw.querying import Record, Told, Wanted, say_nothing
from auditmw.stores.protocol import Store


class Readers:
    """Those who read one trail. `begin` starts its recording, and raises where that cannot be."""

    def __init__(self, governance: Governance, sink: Intake, begin: Callable[[], None]) -> None:
        self._governance = governance
        self._sink = sink
        self._begin = begin

    def of(self, what: str, *, actor: str | None = None, purpose: str | None = None, **about: Any) -> Record:
        """What puts a read of this kind on record; by whoever is bound to the running task, unless an actor is given.

        Of conditions it names the fields alone: their values may be about people, and records of reads stay.
        """
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

    def of_query(self, wanted: Wanted, what: str = "query") -> Record:
        """The same of a query, and of whom it asked."""
        given = {name: value for name, value in wanted.items() if value is not None}
        purpose: Any = given.pop("restricted", None)
        return self.of(
            "restricted" if purpose is not None else what,
            purpose=purpose,
            filter=sorted(given),
            subject=given.get("subject") or given.get("user_id"),
            tenant=given.get("tenant"),
        )
