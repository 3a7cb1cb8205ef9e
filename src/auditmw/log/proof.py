"""Proofs (C2SP tlog-proof): one file which shows, without the trail, that an entry is in it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from auditmw.errors import EvidenceError
from auditmw.log.checkpoint import Checkpoint, open_checkpoint
from auditmw.log.fields import decode_base64, read_decimal
from auditmw.log.keys import Verifier
from auditmw.log.merkle import verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """That leaf `index` is in the tree of the checkpoint.

    `hashes` lead from the leaf to the root; `checkpoint` is the signed note, verbatim; `extra` is proven by nothing.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @classmethod
    def from_text(cls, text: str) -> Proof:
        """Reads a proof file without checking it; raises EvidenceError where it is malformed."""
        head, blank, checkpoint = text.partition("\n\n")
        header, *lines = head.split("\n")
        if header != HEADER or not blank:
            raise EvidenceError(f"a proof begins with the line {HEADER}, and its checkpoint follows a blank line")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise EvidenceError("a proof names its leaf in a line that begins with index")
        if len(lines) - 1 > MAX_HASHES:
            raise EvidenceError(f"a proof has at most {MAX_HASHES} hashes, not {len(lines) - 1}")
        index = read_decimal(lines[0].removeprefix("index "))
        return cls(index, tuple(map(decode_base64, lines[1:])), checkpoint, extra)

    def to_text(self) -> str:
        """The proof as a file; `from_text` reads it back to the same."""
        extra = [] if self.extra is None else [f"extra {b64encode(self.extra).decode()}"]
        hashes = [b64encode(value).decode() for value in self.hashes]
        return "\n".join([HEADER, *extra, f"index {self.index}", *hashes, "", self.checkpoint])

    def verify(self, leaf: bytes, origin: str, verifiers: Iterable[Verifier]) -> Checkpoint:
        """The checkpoint under which `leaf`, recomputed from the entry, is in the trail.

        Raises EvidenceError where it is not, and UnknownSigner where none of the keys signed the checkpoint.
        """
        checkpoint = open_checkpoint(self.checkpoint, origin, verifiers)
        verify_inclusion(self.index, checkpoint.size, leaf, self.hashes, checkpoint.root)
        return checkpoint
