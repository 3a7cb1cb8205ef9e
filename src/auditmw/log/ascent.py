"""From leaf hashes to roots: grows the tree leaf by leaf and meets every checkpoint at its size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from auditmw.log.examine import Examined, Head
from auditmw.log.findings import Finding, about_run
from auditmw.log.merkle import Frontier
from auditmw.log.report import Signed
from auditmw.log.tiles import TILE_LEVEL, TILE_WIDTH

_NO_SIZE: Final = 10**20
"""More than any checkpoint can have."""


class Ascent:
    """Takes leaf hashes in order. `held` are the verifier's own checkpoints, which lie at or after the start.

    After a root that does not fit, no later one can: only the first such finding is made of each kind.
    """

    def __init__(self, origin: str, start: Frontier, held: Sequence[Head]) -> None:
        tiles, within = divmod(start.size, TILE_WIDTH)
        self._tiles = Frontier(tiles, start.hashes[: tiles.bit_count()])
        self._tile = Frontier(within, start.hashes[tiles.bit_count() :])
        self._origin = origin
        self._good_size = start.size
        self._broken = self._held_broken = False
        self._held = deque(sorted(held, key=_size_of))
        self.consistent = 0
        self.checkpoints = self._by_others = self._newest_by_other = 0
        self._anchor: Head | None = None
        self._anchored = start.size
        self._unanchored_us: int | None = None

    @property
    def frontier(self) -> Frontier:
        """The tree so far, what lies before the cut included."""
        return self._with(self._tile)

    def begin(self) -> Iterator[Finding]:
        """Meet the held checkpoints of the start itself."""
        yield from self._meet_held(self.frontier)

    def grow(self, chunk: Examined) -> Iterator[Finding]:
        """Take the next leaves."""
        heads = deque(sorted(chunk.heads, key=_size_of))
        position = 0
        while position < len(chunk.hashes):
            size, before = self.frontier.size, self._tile
            part = chunk.hashes[position : position + TILE_WIDTH - before.size]
            while (at := min(_first_size(heads), _first_size(self._held))) <= size + len(part):
                frontier = self._with(before.extend(part[: at - size]))
                while _first_size(heads) == at:
                    yield from self._meet(heads.popleft(), frontier.root())
                yield from self._meet_held(frontier)
            self._note_time(chunk.stored_at[position : position + len(part)], size)
            self._tile = before.extend(part)
            if self._tile.size == TILE_WIDTH:
                yield from self._close_tile(chunk.tiles)
            position += len(part)

    def beyond(self) -> Iterator[Finding]:
        """The held checkpoints that the entries did not reach."""
        for head in self._held:
            message = (
                f"you hold a checkpoint of {head.checkpoint.size} entries, and the trail ends at {self.frontier.size}"
            )
            yield Finding("continuity", f"{message}: the last ones are missing", self.frontier.size)

    def signed(self, keys: int, announced: list[str]) -> Signed:
        """What is signed, and what lies after it."""
        return Signed(
            keys=keys,
            checkpoints=self.checkpoints,
            size=None if self._anchor is None else self._anchored,
            signed_by=None if self._anchor is None else self._anchor.keys[0],
            unanchored=self.frontier.size - self._anchored,
            unanchored_since_us=self._unanchored_us,
            by_other_keys=self._by_others,
            newest_by_other=self._newest_by_other,
            announced=announced,
        )

    def _with(self, tile: Frontier) -> Frontier:
        return Frontier(self._tiles.size * TILE_WIDTH + tile.size, self._tiles.hashes + tile.hashes)

    def _close_tile(self, stored: Mapping[int, bytes] | None) -> Iterator[Finding]:
        number, root = self._tiles.size, self._tile.root()
        if stored is not None and stored.get(number) != root:
            first = number << TILE_LEVEL
            yield about_run("tile", first, first + TILE_WIDTH - 1, "do not give the root that is stored of their tile")
        self._tiles, self._tile = self._tiles.extend([root]), Frontier()

    def _note_time(self, stored_at: Sequence[int], first: int) -> None:
        """When the first entry after the newest signed checkpoint was stored."""
        if first <= self._anchored < first + len(stored_at):
            self._unanchored_us = stored_at[self._anchored - first]

    def _meet(self, head: Head, root: bytes) -> Iterator[Finding]:
        checkpoint = head.checkpoint
        self.checkpoints += 1
        if checkpoint.origin != self._origin:
            message = f"the checkpoint at {checkpoint.size} entries is one of {checkpoint.origin}"
            yield Finding("checkpoint", f"{message}, and the trail calls itself {self._origin}")
        elif checkpoint.root != root:
            if not self._broken:
                message = f"the entries do not give the root of the checkpoint at {checkpoint.size} entries"
                yield Finding("root", message, self._good_size, checkpoint.size - 1)
            self._broken = True
        else:
            self._good_size = checkpoint.size
            if head.keys:
                self._anchor, self._anchored, self._unanchored_us = head, checkpoint.size, None
            elif head.is_signed:
                self._by_others += 1
                self._newest_by_other = checkpoint.size

    def _meet_held(self, frontier: Frontier) -> Iterator[Finding]:
        while _first_size(self._held) == frontier.size:
            head = self._held.popleft()
            if head.checkpoint.root == frontier.root():
                self.consistent += 1
            elif not self._held_broken:
                self._held_broken = True
                message = f"the first {frontier.size} entries are not those of the checkpoint that you hold"
                yield Finding("continuity", message + self._equivocation(head), 0, frontier.size - 1)

    def _equivocation(self, held: Head) -> str:
        """Both notes, where one key signed two histories of one size."""
        anchor = self._anchor
        if anchor is None or anchor.checkpoint.size != held.checkpoint.size or not set(held.keys) & set(anchor.keys):
            return ""
        return f"; one key signed both, so whoever holds it keeps two histories:\n\n{held.note}\n{anchor.note}"


def _size_of(head: Head) -> int:
    return head.checkpoint.size


def _first_size(heads: deque[Head]) -> int:
    return heads[0].checkpoint.size if heads else _NO_SIZE
