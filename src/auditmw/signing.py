"""Checkpoints of the tree, made by the writer after its commits: signed, kept in the store, handed to sinks.

Whoever signs holds the trail's lease meanwhile, first checks that the tree goes on from what this signer signed before,
and refuses otherwise: a restored backup must not become a second history under the same key.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from auditmw.clock import Clock, SystemClock
from auditmw.diagnostics import report
from auditmw.errors import ConfigurationError, SigningRefused, StoreUnavailable
from auditmw.health import Health
from auditmw.locations import key_directory
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.examine import read_head
from auditmw.log.keys import Signer
from auditmw.log.merkle import Frontier
from auditmw.options import at_least
from auditmw.signed_before import Signed, SignedBefore
from auditmw.signing_keys import find_signing_key
from auditmw.stores.heads import Heads, Tree
from auditmw.stores.protocol import Store

LEASE_SECONDS: Final = 15.0
RETRY_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 2.0
_NOTHING_NEW: Final = 2**62

Sink = Callable[[str], None]
"""Takes a checkpoint's text; the further it brings it from whoever owns the database, the more the checkpoint shows."""


class Rhythm(NamedTuple):
    """When a checkpoint is due: after so many entries, or so long after the first that none covers.

    When nothing was stored for `heartbeat_seconds`, a `heartbeat` entry and a checkpoint show that the trail is alive.
    """

    entries: int = 1000
    seconds: float = 60.0
    heartbeat_seconds: float = 3600.0


def require_rhythm(value: object) -> None:
    """Refuse what is no rhythm where it is chosen: later it would keep the store from opening."""
    if value is None:
        return
    if not isinstance(value, Rhythm):
        raise ConfigurationError(
            f"checkpoint_rhythm is {value!r}: give an auditmw.signing.Rhythm(entries=1000, seconds=60)"
        )
    for name, number in value._asdict().items():
        at_least(f"checkpoint_rhythm.{name}", number, 1 if name == "entries" else 0)


class Signing:
    """Makes the checkpoints of one process; lives on the writer's event loop, and never raises there.

    Without a `signer` they are not signed, and show only that the trail agrees with itself.
    """

    def __init__(
        self,
        heads: Heads,
        *,
        signer: Signer | None,
        before: SignedBefore | None,
        sinks: Sequence[Sink],
        rhythm: Rhythm,
        health: Health,
        heartbeat: Callable[[], None] | None,
        clock: Clock,
    ) -> None:
        self._heads = heads
        self._owner = uuid4().hex
        self._signer = signer
        self._before = before
        self._sinks = sinks
        self._rhythm = rhythm
        self._health = health
        self._heartbeat = heartbeat
        self._clock = clock
        self._seen = self._covered = health.written
        self._due = inf
        self._beat_due = self._next_beat()
        self._warning: str | None = None

    async def step(self) -> float:
        """Sign what is due, or show that the idle trail is alive; returns the seconds until it wants to be called."""
        now, written = self._now(), self._health.written
        if written > self._seen:
            self._beat_due = self._next_beat()
            if self._seen == self._covered:
                self._due = now + self._rhythm.seconds
            if written - self._covered >= self._rhythm.entries and self._warning is None:
                self._due = min(self._due, now)
            self._seen = written
        if now >= self._due:
            await self._attempt()
        elif self._heartbeat is not None and now >= self._beat_due:
            await self._beat(self._heartbeat)
        return max(0.0, min(self._due, self._beat_due) - self._now())

    async def close(self) -> None:
        """Sign what no checkpoint covers; another process that signs just now is waited for."""
        deadline = self._now() + CLOSE_SECONDS
        while self._health.written > self._covered:
            await self._attempt()
            if self._warning is not None or self._now() >= deadline:
                return
            if self._health.written > self._covered:
                await asyncio.sleep(0.05)

    def _next_beat(self) -> float:
        return inf if self._heartbeat is None else self._now() + self._rhythm.heartbeat_seconds

    def _now(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    async def _attempt(self) -> None:
        written = self._health.written
        try:
            if await self._sign():
                self._covered = self._seen = written
                self._settle(None)
            self._due = inf if self._covered == written else self._now() + RETRY_SECONDS
        except StoreUnavailable:
            self._due = self._now() + RETRY_SECONDS  # the delivery says why
        except Exception as error:  # refused, a full disk, a signer that fails: nothing of it ends the writer
            report("auditmw.not_signed", error=str(error), meaning="no checkpoint covers the newest entries")
            self._settle(f"checkpoints are not signed: {error}")
            self._due = self._now() + self._rhythm.seconds

    def _settle(self, warning: str | None) -> None:
        if self._warning in self._health.warnings:
            self._health.warnings.remove(self._warning)
        if warning is not None:
            self._health.warnings.append(warning)
        self._warning = warning

    async def _beat(self, heartbeat: Callable[[], None]) -> None:
        """Other processes may have stored something meanwhile: then the trail is not idle."""
        self._beat_due = self._next_beat()
        try:
            tree = await self._heads.tree(_NOTHING_NEW)
        except Exception as error:  # the next one comes
            report("auditmw.no_heartbeat", "warning", error=str(error))
            return
        idle = (self._clock.now_us() - tree.stored_at_us) / 1e6
        if idle >= self._rhythm.heartbeat_seconds:
            heartbeat()
        else:
            self._beat_due -= max(0.0, idle)

    async def _sign(self) -> bool:
        """Make one checkpoint; False if another process holds the lease."""
        if not await self._heads.lease(self._owner, LEASE_SECONDS):
            return False
        try:
            last = None if self._before is None else await asyncio.to_thread(self._before.load)
            tree = await self._heads.tree(_NOTHING_NEW if last is None else last.frontier.size)
            frontier = Frontier.from_bytes(tree.frontier)
            if last is not None:
                last.check(tree, frontier)
            if not self._is_covered(tree):
                await self._publish(tree, frontier)
            return True
        finally:
            await self._heads.release(self._owner)

    def _is_covered(self, tree: Tree) -> bool:
        if tree.newest_checkpoint is None:
            return tree.size == 0
        newest = read_head(tree.newest_checkpoint, ())
        if newest.checkpoint.size > tree.size:
            raise SigningRefused(
                f"the trail has {tree.size} entries, and a checkpoint in it covers {newest.checkpoint.size}: run "
                "`auditmw verify`"
            )
        return newest.checkpoint.size == tree.size and (newest.is_signed or self._signer is None)

    async def _publish(self, tree: Tree, frontier: Frontier) -> None:
        checkpoint = Checkpoint(tree.origin, tree.size, frontier.root())
        if self._signer is None:
            note = checkpoint.to_text()
        elif self._signer.name != tree.origin:
            raise SigningRefused(
                f"the signing key is named {self._signer.name}, and the trail {tree.origin}: every trail has a key of "
                "its own, made by `auditmw keys init`"
            )
        else:
            note = await asyncio.to_thread(checkpoint.sign, self._signer)
        if self._before is not None:
            await asyncio.to_thread(self._before.save, Signed(tree.origin, frontier))
        await self._heads.add(tree.size, note)
        self._health.checkpoints += 1
        for sink in self._sinks:
            try:
                await asyncio.to_thread(sink, note)
            except Exception as error:  # it is in the store, and the next one covers more
                report("auditmw.checkpoint_not_delivered", error=repr(error), sink=repr(sink))


def make_signing(
    store: Store,
    url: str,
    journal_dir: Path | None,
    health: Health,
    *,
    chosen: str | os.PathLike[str] | Signer | None = None,
    sinks: Sequence[Sink] = (),
    rhythm: Rhythm | None = None,
    heartbeat: Callable[[], None] | None = None,
    clock: Clock | None = None,
) -> Signing | None:
    """What makes the checkpoints of the trail at `url`, with the key that was chosen or is found; None without a tree.

    Raises:
        ConfigurationError: the key cannot be used.
    """
    if store.heads is None:
        return None
    key = find_signing_key(chosen, key_directory(url), journal_dir, os.environ)
    return Signing(
        store.heads,
        signer=None if key is None else key.signer,
        before=None if key is None or key.memory is None else SignedBefore(key.memory),
        sinks=sinks,
        rhythm=rhythm or Rhythm(),
        health=health,
        heartbeat=heartbeat,
        clock=clock or SystemClock(),
    )
