"""The ledger of exports: what was handed out, so that an erasure can name the copies that it does not reach."""

from __future__ import annotations

import hashlib
from contextlib import closing

from auditmw.clock import SystemClock
from auditmw.entry import to_rfc3339
from auditmw.errors import AuditError, StoreUnavailable
from auditmw.privacy.erasure import EXPORTS
from auditmw.stores.privacy import open_privacy


def enter_export(url: str, form: str, to: str) -> None:
    """Enter a destination, before anything goes there.

    Raises:
        StoreUnavailable: the ledger cannot be written from here.
    """
    key = EXPORTS + hashlib.sha256(f"{form} {to}".encode()).hexdigest()[:16]
    now = to_rfc3339(SystemClock().now_us())
    try:
        with closing(open_privacy(url)) as store:
            known = store.settings(key).get(key) or {"format": form, "to": to, "first": now}
            store.set_setting(key, {**known, "last": now})
    except AuditError as error:
        raise StoreUnavailable(
            f"where exports go is entered in the trail first, by its owner: {error}. Export as the owner, or leave "
            "that out with --no-record, and tell whoever has to answer for erasures"
        ) from error
