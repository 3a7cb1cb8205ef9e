"""The trail for code without a loop: `trail.sync.flush()`, `trail.sync.query(...)`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from auditmw.entry import AuditEntry
    from auditmw.querying import Wanted
    from auditmw.reports.columns import Answer
    from auditmw.trail import AuditTrail


class SyncTrail:
    """The awaitable methods of a trail, blocking; for Flask, Django and scripts."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything handed over is stored; see `AuditTrail.flush`."""
        self._trail.flushed().result(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """See `AuditTrail.aclose`."""
        self._trail.close(timeout)

    def http_client(self, **options: Any) -> Any:
        """An HTTP client whose every call is recorded: `openai.OpenAI(http_client=trail.sync.http_client())`.

        Takes the options of `httpx2.Client`; see `AuditTrail.http_client`.
        """
        return self._trail.sync_http_client(**options)

    def report(self, name: str, **asked: Any) -> Answer:
        """The answer of a report; see `AuditTrail.report`."""
        return self._trail.reported(name, **asked).result()

    def query(self, **wanted: Unpack[Wanted]) -> Iterator[AuditEntry]:
        """Stream the stored entries that fit; see `AuditTrail.query`."""
        return self._trail.read(**wanted).blocking()
