"""The log against other people's implementations and test vectors."""

import gzip
import json
from base64 import b64decode
from pathlib import Path

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import EvidenceError
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.keys import Ed25519Signer, Verifier
from auditmw.log.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from auditmw.log.note import Note

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "merkle" / "vectors.json.gz"
DATA = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def nodes_of(data):
    leaves = [leaf_hash(entry) for entry in data]
    return lambda level, index: Frontier().extend(leaves[index << level : index + 1 << level]).root()


@given(DATA)
def test_roots_equal_those_of_pymerkle(data):
    tree = pymerkle.InmemoryTree.init_from_entries(data, algorithm="sha256")
    assert Frontier().extend(map(leaf_hash, data)).root() == tree.get_root()


@given(DATA, st.data())
def test_consistency_holds_between_the_roots_of_pymerkle(data, draw):
    tree = pymerkle.InmemoryTree.init_from_entries(data, algorithm="sha256")
    size = draw.draw(st.integers(1, len(data)))
    proof = consistency_proof(size, len(data), nodes_of(data))
    verify_consistency(size, len(data), proof, tree.get_root(size), tree.get_root())


@given(DATA, st.data())
def test_inclusion_paths_equal_those_of_pymerkle(data, draw):
    tree = pymerkle.InmemoryTree.init_from_entries(data, algorithm="sha256")
    index = draw.draw(st.integers(0, len(data) - 1))
    proof = inclusion_proof(index, len(data), nodes_of(data))
    verify_inclusion(index, len(data), tree.get_leaf(index + 1), proof, tree.get_root())
    theirs = [bytes.fromhex(value) for value in tree.prove_inclusion(index + 1, len(data)).serialize()["path"]]
    assert sorted(theirs) == sorted([tree.get_leaf(index + 1), *proof])


@given(DATA, st.data())
def test_proofs_equal_those_of_aics_tlog(data, draw):
    aics = pytest.importorskip("aics_tlog", reason="aics-tlog needs Python 3.12 and is not a dependency")
    tree, node = aics.MerkleTree(data), nodes_of(data)
    index = draw.draw(st.integers(0, len(data) - 1))
    assert inclusion_proof(index, len(data), node) == tree.inclusion_proof(index)
    assert consistency_proof(index + 1, len(data), node) == tree.consistency_proof(index + 1)
    assert Frontier().extend(map(leaf_hash, data)).root() == tree.root()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_aics_tlog_accepts_our_checkpoints_and_we_accept_its(seed, size, root):
    aics = pytest.importorskip("aics_tlog", reason="aics-tlog needs Python 3.12 and is not a dependency")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signer = Ed25519Signer("example.com/trail", seed)
    checkpoint = Checkpoint("example.com/trail", size, root)
    theirs = aics.parse_note(checkpoint.sign(signer))
    assert aics.verify_note(theirs, [aics.parse_vkey(signer.verifier.to_text())])
    assert aics.parse_checkpoint(theirs.text) == aics.Checkpoint("example.com/trail", size, root)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    note = Note.from_text(aics.sign_checkpoint(aics.Checkpoint("a", size, root), key, "a").serialise())
    vkey = aics.format_vkey(aics.vkey_from_ed25519("a", key.public_key()))
    assert note.verify([Verifier.from_text(vkey)]) == [Verifier.from_text(vkey)]
    assert Checkpoint.from_text(note.text) == Checkpoint("a", size, root)


def read_vectors(kind):
    if not VECTORS.exists():
        pytest.skip("the test vectors of transparency-dev are not beside the checkout")
    vectors = json.loads(gzip.decompress(VECTORS.read_bytes()))
    return {name: vector for name, vector in vectors.items() if name.startswith(f"{kind}/")}


def holds(check, *arguments):
    try:
        check(*arguments)
    except EvidenceError:
        return False
    return True


def test_inclusion_is_judged_as_the_vectors_of_transparency_dev_say():
    for name, vector in read_vectors("inclusion").items():
        proof = [b64decode(value) for value in vector["proof"] or []]
        leaf, root = b64decode(vector["leafHash"]), b64decode(vector["root"])
        verdict = holds(verify_inclusion, vector["leafIdx"], vector["treeSize"], leaf, proof, root)
        assert verdict != vector["wantErr"], name


def test_consistency_is_judged_as_the_vectors_of_transparency_dev_say():
    for name, vector in read_vectors("consistency").items():
        proof = [b64decode(value) for value in vector["proof"] or []]
        roots = b64decode(vector["root1"]), b64decode(vector["root2"])
        verdict = holds(verify_consistency, vector["size1"], vector["size2"], proof, *roots)
        assert verdict != vector["wantErr"], name
