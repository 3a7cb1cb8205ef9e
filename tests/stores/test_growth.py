from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from auditmw.log.merkle import Frontier
from auditmw.log.tiles import Tile
from auditmw.stores.growth import fills_tile, grow, slice_hashes, stored_at, tile_start


def hashes(first, until):
    return [sha256(n.to_bytes(4, "big")).digest() for n in range(first, until)]


@given(st.integers(0, 1300), st.integers(1, 700))
def test_the_tree_after_a_batch_is_the_tree_of_all_leaves(size, count):
    partial = b"".join(hashes(tile_start(size), size)) if fills_tile(size, count) else b""
    grown = grow(Frontier().extend(hashes(0, size)), hashes(size, size + count), partial)
    assert grown.frontier == Frontier().extend(hashes(0, size + count))
    full = range(size // 256, (size + count) // 256)
    assert grown.tile_roots == [(n, Tile(n, b"".join(hashes(256 * n, 256 * n + 256))).root()) for n in full]


@given(st.lists(st.integers(1, 9), max_size=9), st.data())
def test_a_slice_of_batches_is_the_slice_of_their_leaves(counts, data):
    batches, first = [], 0
    for count in counts:
        batches.append((first, b"".join(hashes(first, first + count))))
        first += count
    begin = data.draw(st.integers(0, first))
    end = data.draw(st.integers(begin, first))
    needed = [batch for number, batch in enumerate(batches) if sum(counts[: number + 1]) > begin and batch[0] < end]
    assert slice_hashes(needed, begin, end) == (b"".join(hashes(begin, end)) if needed else b"")


def test_the_time_is_a_whole_second_and_never_before_the_last_one():
    assert stored_at(5_999_999, 0) == 5_000_000
    assert stored_at(5_999_999, 7_000_000) == 7_000_000
