"""How an entry's values become a row."""

from hypothesis import given
from hypothesis import strategies as st

from auditmw.canonical import canonical_json
from auditmw.entry import AuditEntry
from auditmw.log.leaf import STORED_FIELDS
from auditmw.stores.columns import to_row

METADATA = STORED_FIELDS.index("metadata")
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_a_json_column_holds_canonical_json_whether_or_not_it_was_seen_before(metadata):
    for _ in range(2):
        assert to_row(AuditEntry("r", 0, metadata=metadata))[METADATA] == canonical_json(metadata).decode()
