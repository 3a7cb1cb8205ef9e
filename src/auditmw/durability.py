"""Waiting until what a call appended is as safe as was chosen."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Literal

import anyio

from auditmw.backlog import Backlog
from auditmw.call import Call
from auditmw.diagnostics import report
from auditmw.errors import JournalError
from auditmw.futures import wait_for
from auditmw.journalling import Journalling

Durability = Literal["memory", "process", "disk", "store"]


class Settling:
    """Waits at most `block_timeout` seconds: a call is never held for longer by its own record."""

    def __init__(
        self, durability: Durability, backlog: Backlog, journalling: Journalling, block_timeout: float
    ) -> None:
        self._durability = durability
        self._backlog = backlog
        self._journalling = journalling
        self._block_timeout = block_timeout

    def settle(self, call: Call, safe: Future[None]) -> None:
        """Wait for what `safe_when` gave.

        Raises:
            AuditUnavailable: the disk failed before the call was sent, and `on_failure="refuse"` was chosen.
        """
        try:
            self._settled(call, safe.exception(self._block_timeout))
        except TimeoutError as error:
            self._settled(call, error)

    async def settle_async(self, call: Call, safe: Future[None]) -> None:
        """The same without blocking the loop."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._block_timeout):
            await wait_for(safe)
        self._settled(call, safe.exception() if safe.done() else TimeoutError())

    def safe_when(self, call: Call) -> Future[None] | None:
        """Done when what was appended for the call is as safe as `durability` says; None if it is now.

        Raises:
            AuditUnavailable: it cannot be, the call was not sent yet, and `on_failure="refuse"` was chosen.
        """
        if call.position is None or self._durability in {"memory", "process"}:
            return None
        if self._durability == "store":
            # the intent is never stored, only journalled
            return None if call.status is None else self._backlog.stored_when(call.position)
        journal = self._journalling.journal
        try:
            return None if journal is None else journal.synced(call.position)
        except JournalError as error:
            self._journalling.failed(error, call)
            return None

    def _settled(self, call: Call, error: BaseException | None) -> None:
        if isinstance(error, JournalError):
            self._journalling.failed(error, call)
        elif error is not None:
            report("auditmw.not_durable_yet", durability=self._durability, waited_s=self._block_timeout)
