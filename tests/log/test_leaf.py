from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from auditmw.entry import CORE_FIELDS, FIELD_CLASSES
from auditmw.errors import EvidenceError
from auditmw.log.commitment import commit
from auditmw.log.leaf import (
    CLASSES,
    SALTS_BYTES,
    STORED_FIELDS,
    class_bytes,
    leaf_bytes,
    leaf_hash,
    salted,
)

text = st.text(st.characters(exclude_categories=["Cs"]))
value = st.one_of(st.none(), text, st.integers(-(2**53) + 1, 2**53 - 1), st.booleans())
rows = st.lists(value, min_size=len(STORED_FIELDS), max_size=len(STORED_FIELDS))


def row(**fields):
    return [fields.get(name) for name in STORED_FIELDS]


def named(values, names):
    return {name: values[STORED_FIELDS.index(name)] for name in names if values[STORED_FIELDS.index(name)] is not None}


def expected(values, salts):
    """The leaf written out from the specification, with the oracle's canonical JSON."""
    fields = named(values, CORE_FIELDS)
    commitments = {}
    for number, (name, names) in enumerate(FIELD_CLASSES.items()):
        if filled := named(values, names):
            salt = salts[32 * number : 32 * number + 32]
            commitments[name] = commit(name, 1, salt, rfc8785.dumps(filled)).hex()
    return rfc8785.dumps({**fields, **({"commitments": commitments} if commitments else {})})


@given(rows)
def test_a_leaf_is_the_canonical_core_and_the_commitments_of_the_classes_that_are_filled(values):
    ((salts, _),) = salted([values])
    assert leaf_bytes(values, salts) == expected(values, salts)
    assert leaf_hash(values, salts) == hashlib.sha256(b"\x00" + expected(values, salts)).digest()


def test_every_field_is_in_the_core_or_in_one_class():
    classes = [name for names in FIELD_CLASSES.values() for name in names]
    assert sorted([*CORE_FIELDS, *classes]) == sorted(STORED_FIELDS)
    assert [field_class.name for field_class in CLASSES] == [*FIELD_CLASSES, "content"]


def test_salts_are_fresh_for_each_row_and_zero_for_empty_classes():
    (first, _), (second, _) = salted([row(user_id="a"), row(user_id="a", metadata="{}")])
    assert len(first) == SALTS_BYTES == 160
    assert first[:32] != second[:32]
    assert first[32:] == bytes(128)
    assert second[32:96] == bytes(64)
    assert second[96:128] != bytes(32)


@given(st.lists(rows, max_size=3))
def test_salting_and_hashing_in_one_go_gives_what_verification_computes(several):
    for values, (salts, leaf) in zip(several, salted(several), strict=True):
        assert leaf_hash(values, salts) == leaf


@given(rows, st.integers(0, len(STORED_FIELDS) - 1), value)
def test_changing_any_value_changes_the_leaf(values, place, other):
    ((salts, _),) = salted([values])
    changed = [*values[:place], other, *values[place + 1 :]]
    with contextlib.suppress(EvidenceError):  # a class that became empty and still has a salt
        same = leaf_bytes(changed, salts) == leaf_bytes(values, salts)
        assert same == (json.dumps(other) == json.dumps(values[place]))


@pytest.mark.parametrize("field_class", CLASSES[:4], ids=lambda c: c.name)
def test_a_class_can_be_erased_without_changing_the_leaf(field_class):
    values = row(request_id="r", user_id="u", input_hash="h", error_message="e", metadata="{}")
    ((salts, _),) = salted([values])
    before = leaf_bytes(values, salts)
    commitment = commit(field_class.name, 1, salts[field_class.slot], class_bytes(field_class, values))
    erased_salts = salts[: field_class.slot.start] + commitment + salts[field_class.slot.stop :]
    gone = [None if STORED_FIELDS[i] in FIELD_CLASSES[field_class.name] else v for i, v in enumerate(values)]
    assert leaf_bytes(gone, erased_salts, field_class.bit) == before
    with pytest.raises(EvidenceError, match="marked erased and has values"):
        leaf_bytes(values, erased_salts, field_class.bit)
    with pytest.raises(EvidenceError, match="is empty and has a salt"):
        leaf_bytes(gone, erased_salts)


@pytest.mark.parametrize(("salts", "erased"), [(bytes(159), 0), (bytes(192), 0), (b"", 0), (bytes(160), 32)])
def test_salts_and_marks_that_auditmw_never_writes_are_refused(salts, erased):
    with pytest.raises(EvidenceError, match="not what auditmw writes"):
        leaf_bytes(row(request_id="r"), salts, erased)
