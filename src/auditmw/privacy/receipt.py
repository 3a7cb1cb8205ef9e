"""What an erasure answers, and the signed receipt of it, which holds nothing about the person."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from auditmw.log.keys import Signer
from auditmw.log.note import sign_note

Answer = Literal["erased", "partly", "deferred", "not_found"]

EXIT_CODES: Final[dict[Answer, int]] = {"erased": 0, "partly": 2, "deferred": 2, "not_found": 3}
TITLE: Final = "auditmw erasure receipt"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure as it stands. Times are RFC 3339.

    `classes` counts the entries that lost each field class, `declared_by` are the leaf indexes of the entries that say
    so. `kept` says what is still there and why, `restricted` in how many entries: they show to nobody who does not ask
    for them by name, and then on record. `left_behind` says where copies may lie that no command can reach, and
    `exports` what was handed out before.
    """

    erasure: str
    trail: str
    answer: Answer
    requested_at: str
    answered_at: str
    classes: dict[str, int]
    declared_by: list[int]
    set_aside: int
    kept: list[str]
    restricted: int
    left_behind: list[str]
    exports: list[str]

    @property
    def exit_code(self) -> int:
        """0 when all is erased, 2 when something is kept, 3 for an unknown person."""
        return EXIT_CODES[self.answer]

    def to_text(self, signer: Signer | None) -> str:
        """The receipt as a signed note; without a signer its text alone."""
        text = f"{TITLE}\n{msgspec.json.encode(self).decode()}\n"
        return text if signer is None else sign_note(text, signer)
