"""Exports on record: what was handed out, so that an erasure can name the copies that it does not reach."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from auditmw.entry import to_rfc3339
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import EXPORTS
from auditmw.privacy.reads import SETTING as READS
from auditmw.privacy.reads import is_recorded, reads_of
from auditmw.stores.privacy import open_privacy


@contextmanager
def export_on_record(
    url: str,
    form: str,
    to: str,
    without: Sequence[str],
    *,
    purpose: str | None = None,
    actor: str | None = None,
    restricted: bool = False,
) -> Iterator[Callable[[int], None]]:
    """Enter a destination in the trail's ledger before anything goes there; what is yielded is told the count after.

    Raises:
        StoreError: the trail cannot be written from here.
    """
    with closing(open_privacy(url)) as store, ControlLog(url, actor=actor) as log:
        key = EXPORTS + hashlib.sha256(f"{form} {to}".encode()).hexdigest()[:16]
        now = to_rfc3339(log.clock.now_us())
        known = store.settings(key).get(key) or {"format": form, "to": to, "first": now}
        store.set_setting(key, {**known, "last": now})

        def count(entries: int) -> None:
            if entries and is_recorded(reads_of(store.settings(READS)), "export"):
                more: dict[str, Any] = {"restricted": True} if restricted else {}
                log.declare(
                    "read", what="export", purpose=purpose, count=entries, format=form, without=list(without), **more
                )

        yield count
