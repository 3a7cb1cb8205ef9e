"""Checkpoints (C2SP tlog-checkpoint): the size and root of a trail's tree at one moment, as a signed note."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditmw.errors import EvidenceError
from auditmw.log.fields import check_characters, decode_base64, read_decimal
from auditmw.log.keys import Signer, Verifier
from auditmw.log.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from auditmw.log.note import Note, sign_note


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a trail's tree. Extension lines are read, for they are signed too, and never written."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Reads the text that is signed, without the signatures; raises EvidenceError where it is malformed."""
        check_characters(text)
        if not text.endswith("\n"):
            raise EvidenceError("a checkpoint ends in a newline")
        lines = text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise EvidenceError("a checkpoint is an origin, a size and a root hash, a line each, and no empty line")
        origin, size, root, *extensions = lines
        checkpoint = cls(origin, read_decimal(size), decode_base64(root), tuple(extensions))
        if len(checkpoint.root) != HASH_BYTES:
            raise EvidenceError(f"the root hash of a checkpoint has {HASH_BYTES} bytes, not {len(checkpoint.root)}")
        return checkpoint

    def to_text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    def sign(self, *signers: Signer) -> str:
        """The checkpoint as a signed note; raises EvidenceError where its fields do not make a readable one.

        A signer must never sign what is inconsistent with anything it signed before: see `check_consistency`.
        """
        text = self.to_text()
        if Checkpoint.from_text(text) != self:
            raise EvidenceError(f"{self.origin!r} cannot be the origin of a checkpoint: use a name of one line")
        return sign_note(text, *signers)


def open_checkpoint(note: str, origin: str, verifiers: Iterable[Verifier]) -> Checkpoint:
    """The checkpoint of this trail in a note that one of these keys signed.

    Raises EvidenceError where it is malformed, wrongly signed or of another trail, and UnknownSigner where none of the
    keys signed it.
    """
    parsed = Note.from_text(note)
    parsed.verify(verifiers)
    checkpoint = Checkpoint.from_text(parsed.text)
    if checkpoint.origin != origin:
        raise EvidenceError(f"the checkpoint is of {checkpoint.origin!r}, not of {origin!r}")
    return checkpoint


def check_consistency(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raises EvidenceError unless the proof shows that the trail at `new` begins with the trail at `old`.

    Two checkpoints of one size need an empty proof, and so does an empty trail, with which every other begins.
    """
    if old.origin != new.origin:
        raise EvidenceError(f"checkpoints of two trails, {old.origin!r} and {new.origin!r}, have nothing in common")
    if old.size == 0:
        if proof or old.root != EMPTY_ROOT or (new.size == 0 and new.root != EMPTY_ROOT):
            raise EvidenceError("an empty tree has the hash of nothing as its root, and no proof leads from it")
        return
    verify_consistency(old.size, new.size, proof, old.root, new.root)
