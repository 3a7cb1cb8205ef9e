from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.stores import lines
from auditmw.stores.lines import complete_size, lines_backwards, lines_forwards

line = st.binary(min_size=1, max_size=30).map(lambda data: data.replace(b"\n", b"x"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("lines") / "file"


@given(found=st.lists(line), torn=st.one_of(st.just(b""), line), block=st.integers(1, 40))
def test_both_directions_give_the_whole_lines_and_no_torn_one(path, found, torn, block):
    path.write_bytes(b"".join(data + b"\n" for data in found) + torn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        size = complete_size(path)
        assert size == sum(len(data) + 1 for data in found)
        assert [data.rstrip(b"\n") for data in lines_forwards(path, size)] == found
        assert list(lines_backwards(path, size)) == found[::-1]
