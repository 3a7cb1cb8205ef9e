"""The leaves of the batch that is stored next, made while the one before it is on its way to the disk."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from auditmw.errors import PoisonEntry
from auditmw.stores.columns import Leaf, make_leaves
from auditmw.stores.protocol import Batch

AT_ONCE: Final = 25
"""Then others have their turn, above all the batch before it: about a third of a millisecond."""


class LeavesAhead:
    """A leaf says when it is stored, to the second: those made ahead stand if that second is still the same."""

    def __init__(self) -> None:
        self.stored_at_us: int | None = None
        """When the last batch was stored; there is nothing to go by before the first."""
        self._batch: Batch | None = None
        self._made_for_us = 0
        self._leaves: list[Leaf] = []

    async def make(self, batch: Batch) -> None:
        """Make the leaves of a batch as if it were stored now, some at a time; never raises of an entry."""
        if self.stored_at_us is None:
            return
        self._batch, self._made_for_us = batch, self.stored_at_us
        leaves = self._leaves = []
        with suppress(PoisonEntry):  # which is told when the batch's turn comes
            while len(leaves) < len(batch.entries) and leaves is self._leaves:
                leaves += make_leaves(batch, len(leaves), self._made_for_us, len(leaves) + AT_ONCE)
                await asyncio.sleep(0)

    def take(self, batch: Batch) -> Ready:
        """What was made of this batch, once; what is being made of another one stays."""
        if batch is not self._batch:
            return Ready(batch, self._made_for_us, [])
        leaves, self._batch, self._leaves = self._leaves, None, []
        return Ready(batch, self._made_for_us, leaves)


class Ready:
    """A batch with as many of its leaves as were made ahead."""

    def __init__(self, batch: Batch, stored_at_us: int, leaves: list[Leaf]) -> None:
        self.batch = batch
        self._stored_at_us = stored_at_us
        self._leaves = leaves

    def leaves(self, first: int, stored_at_us: int) -> list[Leaf]:
        """The leaves from place `first` on, stored at this time; raises as `make_leaves` does."""
        ready = self._leaves[first:] if stored_at_us == self._stored_at_us else []
        return ready + make_leaves(self.batch, first + len(ready), stored_at_us)
