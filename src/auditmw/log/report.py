"""The answer of a verification: four levels, each on its own, and the verdict that follows from them."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from auditmw.log.findings import Finding

Verdict = Literal["verified", "tampered", "self-consistent", "cannot tell", "empty"]

EXIT_CODES: Final[dict[Verdict, int]] = {
    "verified": 0,
    "tampered": 1,
    "self-consistent": 2,
    "cannot tell": 2,
    "empty": 3,
}


class Structure(msgspec.Struct, frozen=True):
    """Whether every entry is as it was written and none is missing.

    `findings` counts all that is wrong; `first_bad` is the finding about the first bad entry. `unknown` are entries of
    a newer auditmw, which this one cannot judge. A clock that went back is no finding.
    """

    findings: int
    first_bad: Finding | None
    unknown: list[int]
    clock_went_back: int


class Signed(msgspec.Struct, frozen=True):
    """Whether the tree leads to a root that a trusted key signed.

    `size` is how many entries that checkpoint covers, None if there is none; `unanchored` how many lie after it, and
    `unanchored_since_us` when the first of them was stored. `by_other_keys` counts checkpoints of keys that are not
    trusted, `newest_by_other` is the largest of them. `announced` are keys that the trail names as its next ones: never
    trusted by themselves.
    """

    keys: int
    checkpoints: int
    size: int | None
    signed_by: str | None
    unanchored: int
    unanchored_since_us: int | None
    by_other_keys: int
    newest_by_other: int
    announced: list[str]


class Continuity(msgspec.Struct, frozen=True):
    """Whether the trail begins with what the verifier holds: how many checkpoints, how many fit, which say nothing."""

    held: int
    consistent: int
    unclear: list[str]


class OpenWriter(msgspec.Struct, frozen=True):
    """A writer that neither closed nor was recovered: it runs, or it vanished."""

    writer: str
    last_seq: int


class Erased(msgspec.Struct, frozen=True):
    """How many entries' values of one field class were removed, as the entry at `declared_by` says."""

    field_class: str
    entries: int
    declared_by: int
    action: str


class Complete(msgspec.Struct, frozen=True):
    """What the writers say themselves of what is missing. Entries dropped, lost and set aside are counts."""

    writers: int
    closed: int
    crashed: int
    open: list[OpenWriter]
    dropped: int
    lost: int
    set_aside: int
    erased: list[Erased]


class Report(msgspec.Struct, frozen=True):
    """All that a verification found. `pruned` counts the entries that are gone, as a `retain` entry says.

    `has_tree` is false of a store of lines, which nobody can sign.
    """

    origin: str
    entries: int
    pruned: int
    structure: Structure
    signed: Signed
    continuity: Continuity
    complete: Complete
    findings: list[Finding]
    has_tree: bool = True

    @property
    def verdict(self) -> Verdict:
        """`tampered` with or without a key; `verified` only under a key that the verifier brought along."""
        if self.structure.findings:
            return "tampered"
        if not self.entries:
            return "empty"
        if self.structure.unknown or (self.continuity.unclear and not self.continuity.consistent):
            return "cannot tell"
        if not self.signed.keys:
            return "self-consistent"
        if self.signed.size is None or self.signed.newest_by_other > self.signed.size:
            return "cannot tell"
        return "verified"

    @property
    def exit_code(self) -> int:
        """0 verified, 1 tampered, 2 cannot tell, 3 nothing there."""
        return EXIT_CODES[self.verdict]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON data, verdict and exit code first."""
        return {"verdict": self.verdict, "exit_code": self.exit_code, **msgspec.to_builtins(self)}
