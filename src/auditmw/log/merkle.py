"""The Merkle tree of RFC 6962 and 9162 over SHA-256: growing it, proving with it, checking proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from auditmw.errors import EvidenceError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""Gives the hash of a full subtree from its level and its index there: (3, 1) spans the leaves 8 to 15."""


def leaf_hash(data: bytes) -> bytes:
    """The leaf of these bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash above two hashes."""
    return sha256(b"\x01" + left + right).digest()


def split_hashes(data: bytes) -> list[bytes]:
    """Concatenated hashes, one by one; raises EvidenceError where the last one is torn."""
    if len(data) % HASH_BYTES:
        raise EvidenceError(f"{len(data)} bytes are no whole number of {HASH_BYTES}-byte hashes")
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that a tree of this size must remember to grow: the roots of its full subtrees, the largest first.

    It is immutable, so that a failed transaction leaves the old one whole. The frontier at the cut of a pruned trail
    stands for everything before the cut.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def extend(self, leaves: Iterable[bytes]) -> Self:
        """The frontier after these leaf hashes are appended in order."""
        nodes = list(leaves)
        size = self.size + len(nodes)
        left, older, newer = self.size, list(self.hashes), []
        while nodes or left:  # one level of the tree a turn
            if left & 1:
                nodes.insert(0, older.pop())
            if len(nodes) & 1:
                newer.append(nodes.pop())
            nodes = [sha256(b"\x01" + a + b).digest() for a, b in zip(nodes[::2], nodes[1::2], strict=True)]
            left >>= 1
        return type(self)(size, tuple(reversed(newer)))

    def root(self) -> bytes:
        """The root of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root, *rest = reversed(self.hashes)
        for left in rest:
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """The size as eight big-endian bytes, then the hashes."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads what `to_bytes` wrote; raises EvidenceError when it cannot be that."""
        size, hashes = int.from_bytes(data[:8], "big"), split_hashes(data[8:])
        if len(data) < 8 or len(hashes) != size.bit_count():
            raise EvidenceError(f"a frontier of {size} leaves has {size.bit_count()} hashes, not {len(hashes)}")
        return cls(size, tuple(hashes))


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the tree of `size` leaves, nearest the leaf first.

    Raises EvidenceError where the tree does not hold that leaf.
    """
    _check_index(index, size)
    proof = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(_range_root(middle, end, node))
            end = middle
        else:
            proof.append(_range_root(begin, middle, node))
            begin = middle
    return proof[::-1]


def consistency_proof(old_size: int, new_size: int, node: NodeReader) -> list[bytes]:
    """The hashes which show that the tree of `old_size` leaves is the beginning of the tree of `new_size` leaves.

    Raises EvidenceError where no such proof exists: an empty tree, or one larger than the new one.
    """
    _check_sizes(old_size, new_size)
    proof = []
    begin, end = 0, new_size
    while end != old_size:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            proof.append(_range_root(middle, end, node))
            end = middle
        else:
            proof.append(_range_root(begin, middle, node))
            begin = middle
    if begin:  # else it is the old root itself, which the verifier has
        proof.append(_range_root(begin, end, node))
    return proof[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raises EvidenceError unless this is leaf `index` of the tree of this size and root (RFC 9162, 2.1.3.2)."""
    _check_index(index, size)
    _check_hashes(leaf, *proof)
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if not last:
            raise EvidenceError(f"the inclusion proof of leaf {index} has too many hashes")
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            zeros = _trailing_zeros(node)
            node, last = node >> zeros, last >> zeros
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise EvidenceError(f"the inclusion proof of leaf {index} has too few hashes")
    if value != root:
        raise EvidenceError(f"the inclusion proof of leaf {index} does not lead to the root of {size} leaves")


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raises EvidenceError unless the new tree begins with the old one (RFC 9162, 2.1.4.2)."""
    _check_sizes(old_size, new_size)
    if old_size == new_size:
        if old_root != new_root:
            raise EvidenceError(f"two trees of {old_size} leaves have different roots: one of them is another history")
        if proof:
            raise EvidenceError(f"the consistency proof from {old_size} to {new_size} leaves has too many hashes")
        return
    zeros = _trailing_zeros(old_size)
    hashes = [old_root, *proof] if old_size == 1 << zeros else list(proof)
    if not proof:
        raise EvidenceError(f"the consistency proof from {old_size} to {new_size} leaves has too few hashes")
    _check_hashes(*hashes)
    node, last = (old_size - 1) >> zeros, (new_size - 1) >> zeros
    old_value = new_value = hashes[0]
    for sibling in hashes[1:]:
        if not last:
            raise EvidenceError(f"the consistency proof from {old_size} to {new_size} leaves has too many hashes")
        if node & 1 or node == last:
            old_value, new_value = node_hash(sibling, old_value), node_hash(sibling, new_value)
            zeros = _trailing_zeros(node)
            node, last = node >> zeros, last >> zeros
        else:
            new_value = node_hash(new_value, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise EvidenceError(f"the consistency proof from {old_size} to {new_size} leaves has too few hashes")
    if (old_value, new_value) != (old_root, new_root):
        raise EvidenceError(f"the tree of {new_size} leaves does not begin with the tree of {old_size} leaves")


def _range_root(begin: int, end: int, node: NodeReader) -> bytes:
    """The root over the leaves from `begin` to `end`, where `begin` is a multiple of the first full subtree's width."""
    width = end - begin
    level = width.bit_length() - 1
    if width == 1 << level:
        return node(level, begin >> level)
    middle = begin + (1 << level)
    return node_hash(node(level, begin >> level), _range_root(middle, end, node))


def _split(width: int) -> int:
    """The largest power of two below `width`: how many leaves lie to the left of a tree's root."""
    return 1 << (width - 1).bit_length() - 1


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise EvidenceError(f"a tree of {size} leaves holds no leaf {index}")


def _check_sizes(old_size: int, new_size: int) -> None:
    if not 0 < old_size <= new_size:
        raise EvidenceError(f"no consistency proof leads from {old_size} to {new_size} leaves")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise EvidenceError(f"a proof holds a hash that is not {HASH_BYTES} bytes long")
