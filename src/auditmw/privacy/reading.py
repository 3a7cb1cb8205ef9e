"""Reads that are on record: who looked at what, and what for."""

from __future__ import annotations

from typing import Any, Final

from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.privacy.control import ControlLog
from auditmw.privacy.reads import SETTING as READS
from auditmw.privacy.reads import is_recorded, reads_of
from auditmw.privacy.vault import Vault
from auditmw.stores.privacy import PrivacyStore

KEEPS_NONE: Final = 'this trail keeps no content (content="none")'


def keeps_content(store: PrivacyStore) -> bool:
    """Whether the trail keeps prompts and answers of anybody."""
    return bool(store.data_keys("", 1))


def require_purpose(purpose: str | None) -> None:
    """Raises ConfigurationError where nobody said what for."""
    if not purpose:
        raise ConfigurationError("what for? Give a --purpose: it is on record that this was read, and why")


def record_read(
    log: ControlLog,
    store: PrivacyStore,
    what: str,
    purpose: str | None,
    count: int,
    *,
    subject: str | None = None,
    tenant: str | None = None,
    **more: object,
) -> None:
    """Put a read on record, unless the trail records none: `what` (content, access), how many entries, and of whom.

    Raises:
        ConfigurationError: nobody said what for.
    """
    require_purpose(purpose)
    if is_recorded(reads_of(store.settings(READS)), what):
        log.declare("read", subject=subject, tenant=tenant, what=what, purpose=purpose, count=count, **more)


def read_content(
    log: ControlLog, store: PrivacyStore, vault: Vault, entry: AuditEntry, purpose: str | None
) -> dict[str, Any] | None:
    """The prompt and the answer of an entry, after the read is on record; None where none were kept.

    Raises:
        ConfigurationError: nobody said what for.
        EvidenceError: it does not open.
    """
    leaf_index = store.find(entry.request_id)
    content = None if leaf_index is None else store.content(leaf_index)
    record_read(
        log,
        store,
        "content",
        purpose,
        int(content is not None),
        subject=entry.subject or entry.user_id,
        tenant=entry.tenant,
        entry=entry.request_id,
    )
    return None if content is None else vault.open(content, entry.request_id)
