from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import EvidenceError
from auditmw.log.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    split_hashes,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(str(number).encode()) for number in range(70)]
SIZES = range(1, 40)
HASH = st.binary(min_size=32, max_size=32)


def naive_root(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def node(level, index):
    return naive_root(LEAVES[index << level : index + 1 << level])


def test_the_roots_of_the_eight_leaves_known_from_certificate_transparency_come_out():
    data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [leaf_hash(bytes.fromhex(text)) for text in data]
    roots = [Frontier().extend(leaves[:size]).root().hex() for size in range(9)]
    assert roots[0] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert roots[1] == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert roots[2] == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert roots[8] == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert roots == [naive_root(leaves[:size]).hex() for size in range(9)]


def test_a_node_is_not_the_leaf_of_its_children():
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"a") == sha256(b"\x00a").digest()
    assert node_hash(left, right) == sha256(b"\x01" + left + right).digest()


@given(st.lists(st.lists(HASH, max_size=20), max_size=8))
def test_the_root_is_the_same_however_the_appends_are_cut(batches):
    frontier = Frontier()
    for batch in batches:
        frontier = frontier.extend(batch)
    leaves = [leaf for batch in batches for leaf in batch]
    assert frontier.size == len(leaves)
    assert len(frontier.hashes) == len(leaves).bit_count()
    assert frontier.root() == naive_root(leaves)
    assert frontier == Frontier().extend(iter(leaves))


def test_extending_a_frontier_leaves_the_old_one_whole():
    old = Frontier().extend(LEAVES[:5])
    copy = Frontier(old.size, old.hashes)
    old.extend(LEAVES[5:])
    assert old == copy


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root():
    assert Frontier().root() == EMPTY_ROOT == sha256(b"").digest()


@given(st.lists(HASH, max_size=40), st.lists(HASH, max_size=40))
def test_a_frontier_kept_as_bytes_goes_on_where_it_was(before, after):
    data = Frontier().extend(before).to_bytes()
    assert len(data) == 8 + 32 * len(before).bit_count()
    assert data[:8] == len(before).to_bytes(8, "big")
    assert Frontier.from_bytes(data).extend(after).root() == naive_root(before + after)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a frontier of 0 leaves has 0 hashes, not 0"),
        (bytes(7), "a frontier of 0 leaves has 0 hashes, not 0"),
        (bytes(7) + b"\x01", "a frontier of 1 leaves has 1 hashes, not 0"),
        (bytes(8) + LEAVES[0], "a frontier of 0 leaves has 0 hashes, not 1"),
        (bytes(7) + b"\x04" + LEAVES[0] * 2, "a frontier of 4 leaves has 1 hashes, not 2"),
        (bytes(7) + b"\x01" + LEAVES[0][:31], "31 bytes are no whole number of 32-byte hashes"),
        (bytes(7) + b"\x01" + LEAVES[0] + b"\x00", "33 bytes are no whole number of 32-byte hashes"),
    ],
)
def test_bytes_that_are_no_frontier_are_refused(data, message):
    with pytest.raises(EvidenceError, match=message):
        Frontier.from_bytes(data)


def test_hashes_are_split_in_order():
    assert split_hashes(b"".join(LEAVES[:3])) == LEAVES[:3]
    assert split_hashes(b"") == []


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_of_every_tree_has_an_inclusion_proof_that_verifies(size):
    root = naive_root(LEAVES[:size])
    for index in range(size):
        proof = inclusion_proof(index, size, node)
        verify_inclusion(index, size, LEAVES[index], proof, root)


@pytest.mark.parametrize("new_size", SIZES)
def test_every_tree_is_proven_to_begin_with_every_smaller_one(new_size):
    root = naive_root(LEAVES[:new_size])
    for old_size in range(1, new_size + 1):
        proof = consistency_proof(old_size, new_size, node)
        verify_consistency(old_size, new_size, proof, naive_root(LEAVES[:old_size]), root)


def test_proofs_ask_only_for_full_subtrees_that_lie_within_the_tree():
    size = 37
    asked = set()

    def spy(level, index):
        asked.add((level, index))
        return node(level, index)

    for position in range(size):
        inclusion_proof(position, size, spy)
        consistency_proof(position + 1, size, spy)
    assert all((index + 1) << level <= size for level, index in asked)


@st.composite
def spoiled(draw, proof):
    """The proof with one hash changed, missing, added, doubled or swapped."""
    proof = list(proof)
    at = draw(st.integers(0, len(proof) - 1))
    how = draw(st.sampled_from(["flip", "drop", "add", "append", "double", "swap", "shorten"]))
    if how == "flip":
        bit = draw(st.integers(0, 255))
        proof[at] = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    elif how == "drop":
        del proof[at]
    elif how == "add":
        proof.insert(at, draw(HASH))
    elif how == "append":
        proof.append(draw(HASH))
    elif how == "double":
        proof.insert(at, proof[at])
    elif how == "swap" and len(proof) > 1:
        other = (at + 1) % len(proof)
        proof[at], proof[other] = proof[other], proof[at]
    else:
        proof[at] = proof[at][:-1]
    return proof


@given(st.data(), st.integers(2, 70))
def test_a_spoiled_inclusion_proof_is_refused(data, size):
    index = data.draw(st.integers(0, size - 1))
    proof = data.draw(spoiled(inclusion_proof(index, size, node)))
    with pytest.raises(EvidenceError):
        verify_inclusion(index, size, LEAVES[index], proof, naive_root(LEAVES[:size]))


@given(st.data(), st.integers(2, 70))
def test_a_spoiled_consistency_proof_is_refused(data, new_size):
    old_size = data.draw(st.integers(1, new_size - 1))
    proof = data.draw(spoiled(consistency_proof(old_size, new_size, node)))
    with pytest.raises(EvidenceError):
        verify_consistency(old_size, new_size, proof, naive_root(LEAVES[:old_size]), naive_root(LEAVES[:new_size]))


@given(st.data(), st.integers(2, 70))
def test_a_proof_speaks_for_no_other_leaf_index_or_root(data, size):
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    proof, root = inclusion_proof(index, size, node), naive_root(LEAVES[:size])
    with pytest.raises(EvidenceError):
        verify_inclusion(other, size, LEAVES[index], proof, root)
    with pytest.raises(EvidenceError):
        verify_inclusion(index, size, LEAVES[other], proof, root)
    with pytest.raises(EvidenceError, match=f"does not lead to the root of {size} leaves"):
        verify_inclusion(index, size, LEAVES[index], proof, naive_root(LEAVES[: size - 1]))


@given(st.data(), st.integers(2, 70))
def test_a_consistency_proof_speaks_for_no_other_root(data, new_size):
    old_size = data.draw(st.integers(1, new_size - 1))
    proof = consistency_proof(old_size, new_size, node)
    old_root, new_root, other = naive_root(LEAVES[:old_size]), naive_root(LEAVES[:new_size]), data.draw(HASH)
    message = f"the tree of {new_size} leaves does not begin with the tree of {old_size} leaves"
    with pytest.raises(EvidenceError, match=message):
        verify_consistency(old_size, new_size, proof, other, new_root)
    with pytest.raises(EvidenceError, match=message):
        verify_consistency(old_size, new_size, proof, old_root, other)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 4), (-1, 4), (4, 4)])
def test_a_leaf_outside_the_tree_has_no_proof(index, size):
    with pytest.raises(EvidenceError, match=f"a tree of {size} leaves holds no leaf {index}"):
        inclusion_proof(index, size, node)
    with pytest.raises(EvidenceError, match=f"a tree of {size} leaves holds no leaf {index}"):
        verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


@pytest.mark.parametrize(("old_size", "new_size"), [(0, 0), (0, 4), (5, 4), (-1, 4)])
def test_no_proof_leads_from_an_empty_tree_or_to_a_smaller_one(old_size, new_size):
    with pytest.raises(EvidenceError, match=f"no consistency proof leads from {old_size} to {new_size} leaves"):
        consistency_proof(old_size, new_size, node)
    with pytest.raises(EvidenceError, match=f"no consistency proof leads from {old_size} to {new_size} leaves"):
        verify_consistency(old_size, new_size, [], EMPTY_ROOT, EMPTY_ROOT)


def test_two_trees_of_one_size_need_one_root_and_no_proof():
    root = naive_root(LEAVES[:4])
    verify_consistency(4, 4, [], root, root)
    with pytest.raises(EvidenceError, match="two trees of 4 leaves have different roots"):
        verify_consistency(4, 4, [], root, LEAVES[0])
    with pytest.raises(EvidenceError, match="from 4 to 4 leaves has too many hashes"):
        verify_consistency(4, 4, [LEAVES[0]], root, root)


@pytest.mark.parametrize("old_size", [3, 4])
def test_a_consistency_proof_of_the_wrong_length_says_so(old_size):
    proof, roots = consistency_proof(old_size, 11, node), (naive_root(LEAVES[:old_size]), naive_root(LEAVES[:11]))
    for short in (proof[:-1], []):
        with pytest.raises(EvidenceError, match=f"from {old_size} to 11 leaves has too few hashes"):
            verify_consistency(old_size, 11, short, *roots)
    with pytest.raises(EvidenceError, match=f"from {old_size} to 11 leaves has too many hashes"):
        verify_consistency(old_size, 11, [*proof, LEAVES[0]], *roots)


def test_an_inclusion_proof_of_the_wrong_length_says_so():
    proof, root = inclusion_proof(2, 11, node), naive_root(LEAVES[:11])
    with pytest.raises(EvidenceError, match="proof of leaf 2 has too few hashes"):
        verify_inclusion(2, 11, LEAVES[2], proof[:-1], root)
    with pytest.raises(EvidenceError, match="proof of leaf 2 has too many hashes"):
        verify_inclusion(2, 11, LEAVES[2], [*proof, root], root)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_of_another_length_are_refused_so_that_no_two_can_share_their_bytes(length):
    odd = bytes(length)
    with pytest.raises(EvidenceError, match="not 32 bytes long"):
        verify_inclusion(0, 1, odd, [], odd)
    with pytest.raises(EvidenceError, match="not 32 bytes long"):
        verify_inclusion(0, 2, LEAVES[0], [odd], LEAVES[0])
    with pytest.raises(EvidenceError, match="not 32 bytes long"):
        verify_consistency(2, 3, [odd], naive_root(LEAVES[:2]), naive_root(LEAVES[:3]))
    with pytest.raises(EvidenceError, match="not 32 bytes long"):
        verify_consistency(2, 3, [LEAVES[2]], odd, naive_root(LEAVES[:3]))
