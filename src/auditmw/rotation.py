"""Changes a trail over to a new signing key: the old one signs that it is so."""

from __future__ import annotations

from pathlib import Path

from auditmw.errors import EvidenceError
from auditmw.log.checkpoint import open_checkpoint
from auditmw.log.keys import Ed25519Signer
from auditmw.signing_keys import read_signing_key, write_signing_key
from auditmw.stores.evidence import as_tree, read_evidence
from auditmw.trail import AuditTrail


class Rotation:
    """One change of the key in a file. `new` is the new key, `kept` where the old one stays."""

    def __init__(self, url: str, path: Path) -> None:
        self._url = url
        self._path = path
        self._old = read_signing_key(path)
        self.new = Ed25519Signer.generate(self._old.name)
        self.kept = path.with_name(f"{path.name}.{self._old.key_id.hex()}")

    def run(self) -> bool:
        """Record the new key in the trail, have the old one sign that, then put the new one in its place.

        Returns whether the old key's checkpoint covers the record; without it the old key stays.
        """
        trail = AuditTrail(self._url, signing_key=self._path)
        with trail:
            trail.sink.control("key", vkey=self.new.verifier.to_text(), before=self._old.verifier.to_text())
            trail.sync.flush()
            (entry,) = trail.pages(kind="control", action="key", newest_first=True, limit=1).blocking()
        if not self._covers(entry.leaf_index or 0):
            return False
        self._path.rename(self.kept)
        write_signing_key(self._path, self.new)
        return True

    def _covers(self, leaf_index: int) -> bool:
        note = read_evidence(self._url, lambda reader: as_tree(reader).newest_checkpoint())
        try:
            return note is not None and open_checkpoint(note, self._old.name, [self._old.verifier]).size > leaf_index
        except EvidenceError:
            return False
