import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import EvidenceError
from auditmw.log.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from auditmw.log.tiles import Tile, extend_tiles, tile_nodes, tiles_needed

LEAVES = [leaf_hash(str(number).encode()) for number in range(1500)]
TILES = {tile.number: tile.hashes for tile in extend_tiles(0, b"", LEAVES)}
ROOTS = [tile.root() for tile in extend_tiles(0, b"", LEAVES) if tile.root()]
POSITIONS = st.sampled_from([0, 1, 7, 255, 256, 257, 511, 512, 513, 767, 768, 1023, 1024, 1025, 1499]) | st.integers(
    0, 1499
)


def root_of(size):
    return Frontier().extend(LEAVES[:size]).root()


def only_needed(position, size):
    """What a store hands over for one proof: the roots of full tiles and as few tiles as can be, cut to the size."""
    tiles = {number: TILES[number][: (size - number * 256) * 32] for number in tiles_needed(position, size)}
    return tile_nodes(ROOTS[: size // 256], tiles)


@given(st.lists(st.integers(0, 600), max_size=6))
def test_tiles_are_the_same_however_the_appends_are_cut(batches):
    tiles, size = {}, 0
    for count in batches:
        leaves = LEAVES[size : size + count]
        partial = tiles.get(size // 256, b"")
        tiles |= {tile.number: tile.hashes for tile in extend_tiles(size, partial, leaves)}
        size += len(leaves)
    assert tiles == {tile.number: tile.hashes for tile in extend_tiles(0, b"", LEAVES[:size])}
    assert b"".join(tiles[number] for number in sorted(tiles)) == b"".join(LEAVES[:size])


def test_only_the_tiles_that_change_are_given_back():
    changed = extend_tiles(300, TILES[1][: 44 * 32], LEAVES[300:800])
    assert changed == [Tile(1, TILES[1]), Tile(2, TILES[2]), Tile(3, TILES[3][: 32 * 32])]
    assert all(isinstance(tile.number, int) for tile in changed)


@pytest.mark.parametrize("width", [0, 43, 45])
def test_a_last_tile_that_does_not_fit_the_size_is_refused(width):
    with pytest.raises(EvidenceError, match=f"last tile of 300 leaves holds {width * 32} bytes, not 1408"):
        extend_tiles(300, bytes(width * 32), LEAVES[300:])


def test_a_tile_has_a_root_when_it_is_full():
    assert Tile(1, TILES[1]).root() == Frontier().extend(LEAVES[256:512]).root()
    assert Tile(1, TILES[1][:-32]).root() is None
    assert Tile(1, b"").root() is None


@pytest.mark.parametrize(
    ("position", "size", "numbers"),
    [
        (0, 1, [0]),
        (0, 256, [0]),
        (0, 257, [0, 1]),
        (256, 257, [1]),
        (100, 1000, [0, 3]),
        (511, 512, [1]),
        (1024, 1024, []),
        (999_999, 1_000_000, [3906]),
        (0, 1_000_000, [0, 3906]),
    ],
)
def test_a_proof_needs_two_tiles_at_most(position, size, numbers):
    assert tiles_needed(position, size) == numbers


@given(POSITIONS, POSITIONS)
def test_an_inclusion_proof_from_roots_and_needed_tiles_verifies(index, last):
    index, size = min(index, last), max(index, last) + 1
    proof = inclusion_proof(index, size, only_needed(index, size))
    verify_inclusion(index, size, LEAVES[index], proof, root_of(size))


@given(POSITIONS, POSITIONS)
def test_a_consistency_proof_from_roots_and_needed_tiles_verifies(old_size, new_size):
    old_size, new_size = min(old_size, new_size) + 1, max(old_size, new_size) + 1
    proof = consistency_proof(old_size, new_size, only_needed(old_size, new_size))
    verify_consistency(old_size, new_size, proof, root_of(old_size), root_of(new_size))


@given(POSITIONS, POSITIONS)
def test_after_pruning_the_root_and_the_proofs_of_what_is_kept_still_verify(cut, index):
    cut, index, size = min(cut, index), max(cut, index), len(LEAVES)
    kept = {number: hashes for number, hashes in TILES.items() if (number + 1) * 256 > cut}
    frontier = Frontier.from_bytes(Frontier().extend(LEAVES[:cut]).to_bytes())
    assert frontier.extend(LEAVES[cut:]).root() == root_of(size)
    node = tile_nodes(ROOTS, kept)
    verify_inclusion(index, size, LEAVES[index], inclusion_proof(index, size, node), root_of(size))
    if index:
        verify_consistency(index, size, consistency_proof(index, size, node), root_of(index), root_of(size))


def test_what_is_missing_is_named():
    with pytest.raises(EvidenceError, match="the tiles lack hashes for the leaves from 512 to 1024"):
        tile_nodes(ROOTS[:3], TILES)(9, 1)
    with pytest.raises(EvidenceError, match="the tiles lack hashes for the leaves from 520 to 528"):
        tile_nodes(ROOTS, {})(3, 65)
