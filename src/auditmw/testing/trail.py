"""A trail for tests: what was recorded is a list, and gone with the process."""

from __future__ import annotations

from typing import Any, Final

from auditmw.entry import AuditEntry
from auditmw.keys import KEY_BYTES, HashKey
from auditmw.trail import AuditTrail

WAIT_SECONDS: Final = 10.0
_KEY: Final = HashKey(b"\x01" * KEY_BYTES)


class MemoryTrail(AuditTrail):
    """`AuditTrail("memory://")` with a key that is the same in every test, so that digests can be compared.

    Takes the options of `AuditTrail`. Use it with `with` or `async with`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("memory://", **options)

    @property
    def hash_key(self) -> HashKey:
        """The same in every test."""
        return _KEY

    def entries(self, **wanted: Any) -> list[AuditEntry]:
        """What has been recorded so far and fits, in order; takes what `AuditTrail.query` takes."""
        self.sync.flush(WAIT_SECONDS)
        return list(self.pages(**wanted).blocking())
