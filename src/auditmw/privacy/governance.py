"""What a trail writes under: its policy, its vault, and a record of what decides about entries and changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from auditmw.canonical import canonical_json, make_safe
from auditmw.diagnostics import report
from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError, StoreUnavailable
from auditmw.privacy.policy import SETTING, Policy, policy_of, read_policy
from auditmw.privacy.reads import SETTING as READS_SETTING
from auditmw.privacy.reads import Reads, reads_of
from auditmw.privacy.vault import Vault
from auditmw.stores.protocol import Store

IN_FORCE: Final = "in_force"


class Governance:
    """One trail's; `chosen` and `reads` are what the application chooses, None for whatever the trail holds.

    `in_force` are digests by name of all else that decides about entries; `record` makes a control entry.
    """

    def __init__(
        self,
        chosen: str | os.PathLike[str] | Policy | None,
        vault: Vault | None,
        reads: Reads | None,
        in_force: Callable[[], Mapping[str, str | None]],
        record: Callable[..., None],
    ) -> None:
        self._chosen = chosen
        self._vault = vault
        self._chosen_reads = self._reads = reads
        self._in_force = in_force
        self._record = record
        self._policy: Policy | None = None

    def load(self) -> None:
        """Read the chosen policy, before the first call.

        Raises:
            ConfigurationError: it cannot be used, or forbids the content that this trail is to keep.
        """
        if self._chosen is not None and self._policy is None:
            self._use(read_policy(self._chosen))

    async def begin(self, store: Store) -> None:
        """Put the policy in force, or take over the trail's; put on record what changed since last time.

        Raises:
            ConfigurationError: the trail's policy forbids the content that this trail is to keep.
        """
        settings = await store.settings()
        stored = policy_of(settings)
        if self._policy is None and stored is not None:
            self._use(stored)
        await self._keep_policy(store, stored)
        reads = reads_of(settings)
        if self._chosen_reads not in {None, reads} and await _keep(store, READS_SETTING, self._chosen_reads):
            self._record("change", what="reads", before=reads, after=self._chosen_reads)
        await self._compare(store, settings.get(IN_FORCE))

    async def reads_in(self, store: Store) -> Reads:
        """Which reads this trail puts on record, as it was when that was first asked."""
        self._reads = self._reads or reads_of(await store.settings())
        return self._reads

    def admit(self, entry: AuditEntry) -> AuditEntry:
        """An entry as it may be stored."""
        return entry if self._policy is None else self._policy.admit(entry)

    async def _keep_policy(self, store: Store, stored: Policy | None) -> None:
        """Kept first: what a writer's role may not change is not on record as changed."""
        policy = self._policy
        if self._chosen is None or policy is None or policy == stored:
            return
        if await _keep(store, SETTING, policy.to_data()):
            before = None if stored is None else stored.digest
            self._record("change", what="policy", before=before, after=policy.digest, policy=policy.title)

    async def _compare(self, store: Store, before: Mapping[str, str | None] | None) -> None:
        now = dict(self._in_force())
        if now == before:
            return
        if await _keep(store, IN_FORCE, now) and before is not None:
            for name in sorted(name for name in now if now[name] != before.get(name)):
                self._record("change", what=name, before=before.get(name), after=now[name])

    def _use(self, policy: Policy) -> None:
        if self._vault is not None:
            if policy.content == "refused":
                raise ConfigurationError(
                    f"the policy {policy.title} never stores content: leave content='encrypted' out"
                )
            self._vault.needs_purpose = policy.content == "opt-in" and policy.purpose is None
        self._policy = policy


def in_force(layers: Sequence[Any], prices: Any, hash_key: str | None) -> dict[str, str | None]:
    """Digests of the pipeline, the sanitizer's rules, the application's prices, and the key of the digests."""
    from importlib import metadata  # slow, and needed on the writer's thread alone

    names = [layer.name for layer in layers]
    return {
        "hash_key": hash_key,
        "pipeline": _digest(names),
        "prices": _digest([prices, metadata.version("genai-prices")]),
        "sanitizer": _digest([layer.rules for layer in layers if layer.rules is not None]),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(make_safe(value))).hexdigest()


async def _keep(store: Store, name: str, value: Any) -> bool:
    """Whether it could be kept: what decides about removal is the owner's alone."""
    try:
        await store.set_setting(name, value)
    except StoreUnavailable as error:
        report("auditmw.setting_not_kept", "warning", name=name, error=str(error), meaning="set it as the owner")
        return False
    return True
