"""Leaf hashes in tiles of 256, so that a proof reads the tiles' roots and one or two tiles instead of every leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditmw.errors import EvidenceError
from auditmw.log.merkle import HASH_BYTES, Frontier, NodeReader, split_hashes

TILE_LEVEL = 8
TILE_WIDTH = 1 << TILE_LEVEL


@dataclass(frozen=True, slots=True)
class Tile:
    """The leaf hashes from `number * 256` on, concatenated: 256 of them, or fewer in the last tile of a tree."""

    number: int
    hashes: bytes

    def root(self) -> bytes | None:
        """The hash of the full subtree over the tile; None until the tile is full."""
        full = len(self.hashes) == TILE_WIDTH * HASH_BYTES
        return Frontier().extend(split_hashes(self.hashes)).root() if full else None


def extend_tiles(size: int, partial: bytes, leaves: Sequence[bytes]) -> list[Tile]:
    """The tiles that change when leaf hashes are appended to a tree of `size` leaves.

    `partial` holds the hashes of the tree's last tile, and is empty where that one is full. Raises EvidenceError where
    it does not fit the size.
    """
    number, width = divmod(size, TILE_WIDTH)
    if len(partial) != width * HASH_BYTES:
        raise EvidenceError(f"the last tile of {size} leaves holds {len(partial)} bytes, not {width * HASH_BYTES}")
    data, step = partial + b"".join(leaves), TILE_WIDTH * HASH_BYTES
    return [Tile(number + start // step, data[start : start + step]) for start in range(0, len(data), step)]


def tiles_needed(position: int, size: int) -> list[int]:
    """The numbers of the tiles whose hashes a proof in a tree of `size` leaves needs.

    `position` is the leaf's index for an inclusion proof, and the old size for a consistency proof.
    """
    return sorted({start // TILE_WIDTH for start in (position, size) if start // TILE_WIDTH * TILE_WIDTH < size})


def tile_nodes(roots: Sequence[bytes], tiles: Mapping[int, bytes]) -> NodeReader:
    """Reads nodes from the roots of all full tiles in order, and from the hashes of the tiles that are needed.

    The roots outlive pruning; the hashes of tiles that lie wholly before the cut need not. Raises EvidenceError, when
    asked, for what is missing.
    """

    def node(level: int, index: int) -> bytes:
        if level >= TILE_LEVEL:
            width = 1 << level - TILE_LEVEL
            hashes = roots[index * width : (index + 1) * width]
        else:
            width = 1 << level
            number, first = divmod(index * width, TILE_WIDTH)
            hashes = split_hashes(tiles.get(number, b""))[first : first + width]
        if len(hashes) != width:
            raise EvidenceError(f"the tiles lack hashes for the leaves from {index << level} to {index + 1 << level}")
        return Frontier().extend(hashes).root()

    return node
