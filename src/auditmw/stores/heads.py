"""What a store does for whoever signs its trail's checkpoints."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

SIGNING: Final = "signing"
"""The name of the signer's lease."""


class Tree(NamedTuple):
    """The tree as it is, the hashes of its newest leaves, and the checkpoint that covers the most of it."""

    origin: str
    size: int
    frontier: bytes
    stored_at_us: int
    new_hashes: bytes
    newest_checkpoint: str | None


class Heads(Protocol):
    """The tree's heads; lives on the writer's event loop. Every method raises StoreUnavailable as `append` does."""

    async def lease(self, owner: str, seconds: float) -> bool:
        """Take the signing lease, or keep it: whether this owner has it now."""

    async def release(self, owner: str) -> None:
        """Give the lease back."""

    async def tree(self, signed: int) -> Tree:
        """The tree as it is now, with the hashes of the leaves from `signed` on."""

    async def add(self, size: int, note: str) -> None:
        """Keep a checkpoint of the tree of this size."""
