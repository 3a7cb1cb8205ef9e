"""A self-contained proof of one entry: its leaf, that the leaf is in the signed tree, and the classes that are shown.

What is not shown stays a commitment, of which nothing can be learnt. The file is JSON; its `proof` is a C2SP tlog-proof
that other programs can check too, against the leaf `entry`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from auditmw.entry import FIELD_CLASSES
from auditmw.errors import EvidenceError, NotAProof, UnknownFormat, UnknownSigner
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.commitment import commit
from auditmw.log.examine import read_head
from auditmw.log.keys import Verifier
from auditmw.log.leaf import CLASS_VERSION, CLASSES, CONTENT, class_bytes
from auditmw.log.merkle import leaf_hash, verify_inclusion
from auditmw.log.proof import Proof

_FORMATS: Final = "auditmw/entry-proof/"
FORMAT: Final = f"{_FORMATS}v1"
DIGESTS: Final = FIELD_CLASSES["digests"]


class Disclosed(msgspec.Struct, frozen=True):
    """The values of one field class as canonical JSON text, and the salt of its commitment in hex.

    Of the class `content` they are what lies under lock, in Base64.
    """

    salt: str
    values: str


class Content(msgspec.Struct, frozen=True):
    """A text that was sent or received: as JSON data, and the digest that it must give under the trail's digest key."""

    digest: str
    value: Any


class _Versioned(msgspec.Struct):
    """What a proof of any version says of itself."""

    format: str


class EntryProof(msgspec.Struct, frozen=True):
    """One entry, proven."""

    format: str
    entry: str
    proof: str
    classes: dict[str, Disclosed]
    content: Content | None = None

    @classmethod
    def from_json(cls, data: bytes) -> EntryProof:
        """Read a proof file without checking it.

        Raises:
            NotAProof: it never was one.
            UnknownFormat: it is of another version.
            EvidenceError: it was damaged.
        """
        if _FORMATS.encode() not in data:
            raise NotAProof
        try:
            version = msgspec.json.decode(data, type=_Versioned).format
            if version != FORMAT:
                raise UnknownFormat(
                    f"the proof has the format {version}, and this auditmw reads {FORMAT}: upgrade auditmw"
                )
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise EvidenceError(f"the proof was damaged: {error}") from error

    def to_json(self) -> bytes:
        """The proof as a file."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"

    @property
    def checkpoint(self) -> str:
        """The checkpoint that the proof leads to, as it was signed."""
        return Proof.from_text(self.proof).checkpoint

    def core(self) -> dict[str, Any]:
        """The fields that the leaf holds openly, and its `commitments`; raises EvidenceError where it is no leaf."""
        try:
            fields = msgspec.json.decode(self.entry, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise EvidenceError(f"the entry of the proof is no JSON object: {error}") from error
        if msgspec.json.encode(fields, order="sorted") != self.entry.encode():
            raise EvidenceError("the entry of the proof is not canonical JSON, so no leaf")
        return fields

    def shown(self) -> dict[str, Any]:
        """The values of the disclosed classes, each held against its commitment in the leaf.

        Raises:
            EvidenceError: one is not what the leaf commits to.
        """
        commitments = self.core().get("commitments") or {}
        shown: dict[str, Any] = {}
        for name, disclosed in self.classes.items():
            try:
                salt, values = bytes.fromhex(disclosed.salt), disclosed.values.encode()
                if name == CONTENT.name:
                    values = b64decode(values, validate=True)
                    fields: dict[str, Any] = {"content_under_lock": f"{len(values):,} bytes"}
                else:
                    fields = msgspec.json.decode(values, type=dict[str, Any])
            except ValueError as error:
                raise EvidenceError(f"the class {name} cannot be read: {error}") from error
            if commit(name, CLASS_VERSION, salt, values).hex() != commitments.get(name):
                raise EvidenceError(f"the values of the class {name} are not those of the entry")
            shown |= fields
        return shown

    def verify(self, verifiers: Sequence[Verifier]) -> Checkpoint:
        """The signed checkpoint under which the entry is in the trail; the key's name is the trail's.

        Raises:
            EvidenceError: the proof does not hold.
            UnknownSigner: none of the keys signed it, or nobody did; `check_path` can still say whether it agrees with
                itself.
        """
        proof = Proof.from_text(self.proof)
        self.shown()
        origin = self.check_path().origin
        if not read_head(proof.checkpoint, ()).is_signed:
            raise UnknownSigner(
                "nobody signed the checkpoint of this proof, so nothing can be said: ask for one that was made after "
                "`auditmw keys init` and a new start of the writer"
            )
        return proof.verify(
            leaf_hash(self.entry.encode()), origin, [verifier for verifier in verifiers if verifier.name == origin]
        )

    def check_path(self) -> Checkpoint:
        """The checkpoint that the entry leads to, whoever signed it; raises EvidenceError where it does not."""
        proof = Proof.from_text(self.proof)
        checkpoint = read_head(proof.checkpoint, ()).checkpoint
        leaf = leaf_hash(self.entry.encode())
        verify_inclusion(proof.index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
        return checkpoint

    def check_content(self, digest: Callable[[Any], str]) -> None:
        """Raises EvidenceError unless the content is what the entry's digest was made of; `digest` has the key."""
        if self.content is None:
            return
        if self.content.digest not in DIGESTS or digest(self.content.value) != self.shown().get(self.content.digest):
            raise EvidenceError(f"the content is not what the entry's {self.content.digest} was made of")


def disclose(values: Sequence[Any], salts: bytes, erased: int, names: Sequence[str]) -> dict[str, Disclosed]:
    """The classes of these names out of an entry's stored values; empty ones, and content, which is none, are left out.

    Raises:
        EvidenceError: there is no such class, or its values were erased.
    """
    disclosed = {}
    for name in names:
        found = next((field_class for field_class in CLASSES if field_class.name == name), None)
        if found is None:
            raise EvidenceError(f"there is no class {name}: use {', '.join(c.name for c in CLASSES)}")
        if erased & found.bit:
            raise EvidenceError(f"the values of the class {name} of this entry were erased")
        if any(value is not None for value in found.values_of(values)):
            disclosed[name] = Disclosed(salts[found.slot].hex(), class_bytes(found, values).decode())
    return disclosed


def disclose_content(salt: bytes, sealed: bytes) -> Disclosed:
    """An entry's content as it lies under lock."""
    return Disclosed(salt.hex(), b64encode(sealed).decode())
