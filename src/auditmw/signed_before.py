"""What a signer has signed: its own memory of the tree, in a file apart from the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from auditmw.errors import EvidenceError, SigningRefused
from auditmw.log.merkle import Frontier, split_hashes
from auditmw.stores.heads import Tree


class Signed(NamedTuple):
    """The tree that was signed last."""

    origin: str
    frontier: Frontier

    def check(self, tree: Tree, frontier: Frontier) -> None:
        """Refuse a tree that does not go on from this one; `tree` has the hashes of the leaves since.

        Raises:
            SigningRefused: it is another tree, a shorter one, or one with other leaves.
        """
        size = self.frontier.size
        if self.origin != tree.origin:
            raise SigningRefused(f"this key signed the trail {self.origin} before, and this is {tree.origin}")
        if frontier.size < size:
            raise SigningRefused(
                f"the trail has {frontier.size} entries, and {size} were signed: it was cut off, or restored from an "
                "older backup"
            )
        if self.frontier.extend(split_hashes(tree.new_hashes)) != frontier:
            raise SigningRefused(
                f"the trail of {frontier.size} entries does not go on from the {size} that were signed: entries were "
                "changed, or it was restored from an older backup"
            )


class SignedBefore:
    """One file beside the key, or in the journal's directory. A backup of the database must not hold it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Signed | None:
        """What was signed last; None before the first time.

        Raises:
            SigningRefused: the file cannot be read, so that nothing is known.
        """
        try:
            data = msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
            return Signed(data["origin"], Frontier.from_bytes(bytes.fromhex(data["frontier"])))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EvidenceError) as error:
            raise SigningRefused(f"{self._path}, which says what was signed last, cannot be read: {error}") from error

    def save(self, signed: Signed) -> None:
        """Remember this, down to the disk, before anybody sees the signature; raises OSError where that fails."""
        last = self.load()
        if last is not None and last.frontier.size > signed.frontier.size:
            return  # another process has gone on after this one's lease had run out
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            data = {"origin": signed.origin, "frontier": signed.frontier.to_bytes().hex()}
            os.write(file, msgspec.json.encode(data))
            os.fsync(file)
        finally:
            os.close(file)
        temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
