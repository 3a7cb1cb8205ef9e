"""Control entries that are in the store when `declare` returns: what is removed is declared before it goes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from uuid_utils import uuid7

from auditmw.clock import Clock, SystemClock
from auditmw.delivery import Delivery
from auditmw.health import Health
from auditmw.journal import survey
from auditmw.locations import journal_directory, key_directory
from auditmw.log.keys import Signer
from auditmw.prices import PriceBook
from auditmw.rolling import roll
from auditmw.sealing import control_entry, numbered
from auditmw.signing import make_signing
from auditmw.signing_keys import find_signing_key
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch, Store


class ControlLog:
    """A writer of control entries with a sequence of its own, for commands and for threads beside an application.

    It needs no journal: an entry that is not stored was not declared. Used as a context manager, which signs the head
    at the end where the trail has a signing key.

    Raises StoreError and its kind, as `Store.open` and `Store.append` do.
    """

    def __init__(
        self,
        url: str,
        *,
        actor: str | None = None,
        clock: Clock | None = None,
        journal_dir: Path | None = None,
        signing_key: str | os.PathLike[str] | Signer | None = None,
    ) -> None:
        self.url = url
        self.actor = actor
        self.clock: Clock = clock or SystemClock()
        self.owner = uuid4().hex
        self.journal_dir = journal_directory(url, journal_dir, os.environ)
        self._chosen_key = signing_key
        self._seq = 0
        self._health = Health()
        self._store: Store = store_for(url)

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        try:
            self._runner.run(self._store.open())
            self._signing = make_signing(
                self._store, self.url, self.journal_dir, self._health, chosen=self._chosen_key, clock=self.clock
            )
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if self._health.written:
                self.declare("close")
                if self._signing is not None:
                    self._runner.run(self._signing.close())
        finally:
            self._runner.run(self._store.close())
            self._runner.close()

    @property
    def signer(self) -> Signer | None:
        """The trail's signing key; None where there is none."""
        key = find_signing_key(self._chosen_key, key_directory(self.url), self.journal_dir, os.environ)
        return None if key is None else key.signer

    def declare(self, action: str, *, subject: str | None = None, tenant: str | None = None, **metadata: Any) -> str:
        """Store an entry about the trail itself; `subject` is the person whom it is about. Returns its request id."""
        if not self._seq and action != "open":
            self.declare("open")
        self._seq += 1
        about: dict[str, Any] = {"user_id": self.actor, "subject": subject, "tenant": tenant}
        entry = control_entry(str(uuid7()), self.clock.now_us(), action, **about, **metadata)
        batch = Batch(self.owner, self._seq, [numbered(entry, self.owner, self._seq)])
        self._health.written += self._runner.run(self._store.append(batch))
        return entry.request_id

    def recover(self) -> None:
        """Store what dead processes left in the journal directory, so that it can be found."""
        if self.journal_dir is None or not self.journal_dir.is_dir():
            return
        if all(one.alive for one in survey(self.journal_dir)):
            return
        prices = PriceBook()
        prices.load()
        delivery = Delivery(
            self._store,
            prices,
            self._health,
            clock=self.clock,
            journal_dir=self.journal_dir,
            give_up=lambda: self._health.last_store_error is not None,
        )
        self._runner.run(delivery.recover())

    def forget_user(self, user_id: str, tenant: str | None) -> None:
        """Take a user's name out of the rollups, as far as entries no longer hold it."""
        if (rollups := self._store.rollups) is not None:
            self._runner.run(rollups.forget_user(user_id, tenant))

    def forget_expired(self, since: str, before: str) -> str | None:
        """Take names out of the rollups of a week, as far as entries no longer hold them; returns where to go on."""
        rollups = self._store.rollups
        return None if rollups is None else self._runner.run(rollups.forget_expired(since, before))

    def roll(self) -> None:
        """Bring the rollups up to the newest entry, so that what goes stays in the sums."""
        if (rollups := self._store.rollups) is not None:
            while self._runner.run(roll(rollups)):
                pass
