"""Signed notes (C2SP signed-note): a text, a blank line, and a line for each signature."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from auditmw.errors import EvidenceError, UnknownSigner
from auditmw.log.fields import check_characters, decode_base64
from auditmw.log.keys import Signer, Verifier, is_key_name

MAX_SIGNATURES = 16
MAX_CHARACTERS = 1_000_000
KEY_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    value: bytes

    def to_text(self) -> str:
        """The line, with its newline."""
        return f"\N{EM DASH} {self.name} {b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and the signatures under it. The text is nothing to rely on before `verify`."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def from_text(cls, source: str) -> Note:
        """Reads a note without checking a signature; raises EvidenceError where it is malformed."""
        if len(source) > MAX_CHARACTERS:
            raise EvidenceError(f"a note has at most {MAX_CHARACTERS} characters, not {len(source)}")
        check_characters(source)
        text, blank, below = source.rpartition("\n\n")
        if not blank or not below.endswith("\n"):
            raise EvidenceError("a note is a text, a blank line and at least one signature line, ended by a newline")
        lines = below[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise EvidenceError(f"a note carries at most {MAX_SIGNATURES} signatures, not {len(lines)}")
        return cls(text + "\n", tuple(map(_read_signature, lines)))

    def to_text(self) -> str:
        """The note as it is written; `from_text` reads it back to the same."""
        return self.text + "\n" + "".join(signature.to_text() for signature in self.signatures)

    def verify(self, verifiers: Iterable[Verifier]) -> list[Verifier]:
        """Those of the trusted keys that signed the text, in the order of the signatures.

        A signature by another key is ignored, even under a known name or id. Raises EvidenceError where a known key's
        signature is wrong, and UnknownSigner where no known key signed.
        """
        known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
        message = self.text.encode()
        signed: list[Verifier] = []
        for signature in self.signatures:
            verifier = known.get((signature.name, signature.key_id))
            if verifier is None:
                continue
            if not verifier.verifies(message, signature.value):
                raise EvidenceError(f"the signature of {signature.name} does not fit: text or signature changed")
            if verifier not in signed:
                signed.append(verifier)
        if not signed:
            raise UnknownSigner
        return signed


def sign_note(text: str, *signers: Signer) -> str:
    """The text with a signature by each signer.

    Raises EvidenceError where the result could not be read back: a text that does not end in a newline or holds control
    characters, no signer, or a signer whose name has spaces.
    """
    check_characters(text)
    message = text.encode()
    note = Note(text, tuple(Signature(signer.name, signer.key_id, signer.sign(message)) for signer in signers))
    source = note.to_text()
    if Note.from_text(source) != note:
        raise EvidenceError("a note's text ends in a newline, and a signer's name is a line without spaces")
    return source


def _read_signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) == 3 and parts[0] == "\N{EM DASH}" and is_key_name(parts[1]):
        data = decode_base64(parts[2])
        if len(data) > KEY_ID_BYTES:
            return Signature(parts[1], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])
    raise EvidenceError(f"{line[:80]!r} is no signature line: a dash, a name and base64, between single spaces")
