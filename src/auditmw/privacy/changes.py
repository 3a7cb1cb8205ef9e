"""Changes of what decides about entries, on record: one control entry with digests of before and after."""

from __future__ import annotations

from auditmw.privacy.control import ControlLog
from auditmw.privacy.holds import PROGRESS
from auditmw.privacy.policy import SETTING, Policy, policy_of
from auditmw.privacy.vault import KeyProvider, rewrap
from auditmw.stores.privacy import PrivacyStore


def set_policy(log: ControlLog, store: PrivacyStore, policy: Policy) -> bool:
    """Make this the trail's policy; returns whether that changed anything.

    Raises:
        ConfigurationError: the policy cannot be used.
    """
    policy.rules()
    before = policy_of(store.settings(SETTING))
    if before == policy:
        return False
    log.declare(
        "change",
        what="policy",
        before=None if before is None else before.digest,
        after=policy.digest,
        policy=policy.title,
    )
    store.set_setting(SETTING, policy.to_data())
    store.delete_setting(PROGRESS)
    return True


def change_content_key(log: ControlLog, store: PrivacyStore, old: KeyProvider, new: KeyProvider) -> int:
    """Put all data keys under a new key-encryption key, on record; content stays as it is. Returns how many there were.

    Processes that still use the old one go on making keys under it: restart them with the new one, then do this again.

    Raises:
        EvidenceError: a data key is under neither of the two.
    """
    count = rewrap(store, old, new)
    if count:
        log.declare("change", what="content_key", before=old.id, after=new.id, count=count)
    return count
