"""What a batch changes in a trail, worked out before anything is written: which entries are new, how the tree grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from auditmw.errors import SequenceGap
from auditmw.log.merkle import HASH_BYTES, Frontier
from auditmw.log.tiles import TILE_WIDTH, extend_tiles
from auditmw.stores.protocol import Batch

FIRST_SEQ = 1
SECOND_US = 1_000_000


class Growth(NamedTuple):
    """The tree after a batch: what it must remember, and the roots of the tiles that became full."""

    frontier: Frontier
    tile_roots: list[tuple[int, bytes]]


def already_stored(batch: Batch, last_seq: int) -> int:
    """How many of the batch's first entries a store has when `last_seq` is the last that it has of the writer.

    Raises SequenceGap where entries before the batch are missing.
    """
    if batch.first_seq > last_seq + 1:
        raise SequenceGap(
            f"writer {batch.writer} is stored up to {last_seq} and the batch begins at {batch.first_seq}: entries are "
            "missing. Run `auditmw verify` and `auditmw doctor`",
            last_seq,
        )
    return min(last_seq + 1 - batch.first_seq, len(batch.entries))


def stored_at(now_us: int, last_us: int) -> int:
    """The whole second to store at: now, but never before the trail's last one."""
    return max(now_us // SECOND_US * SECOND_US, last_us)


def fills_tile(size: int, count: int) -> bool:
    """Whether `count` more leaves fill up the last, partly filled tile of a tree of `size` leaves."""
    return 0 < size % TILE_WIDTH >= TILE_WIDTH - count


def tile_start(size: int) -> int:
    """The first leaf of the tile in which the next leaf will lie."""
    return size - size % TILE_WIDTH


def grow(frontier: Frontier, hashes: Sequence[bytes], partial: bytes) -> Growth:
    """The tree with these leaf hashes appended; `partial` holds those of its last tile if `fills_tile`."""
    size = frontier.size
    if not fills_tile(size, len(hashes)):  # the tiles that become full, if any, begin at a whole tile
        skipped = -size % TILE_WIDTH
        tiles = extend_tiles(size + skipped, b"", hashes[skipped:])
    else:
        tiles = extend_tiles(size, partial, hashes)
    roots = [(tile.number, root) for tile in tiles if (root := tile.root()) is not None]
    return Growth(frontier.extend(hashes), roots)


def slice_hashes(batches: Iterable[tuple[int, bytes]], first: int, until: int) -> bytes:
    """The hashes of the leaves [first, until) out of batches in order: each its first leaf and its hashes."""
    found = list(batches)
    if not found:
        return b""
    start = found[0][0]
    data = b"".join(hashes for _, hashes in found)
    return data[(first - start) * HASH_BYTES : (until - start) * HASH_BYTES]
