import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.exporters.csv import cell as csv_cell


@given(st.text())
def test_no_cell_of_csv_is_a_formula_or_begins_a_new_line(text):
    cell = csv_cell(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert "\n" not in cell
    assert "\r" not in cell


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("  @x", "'  @x"),
        (-5, "-5"),
        (True, "true"),
        ({"team": "=x"}, '{"team":"=x"}'),
        (["-a"], '["-a"]'),
    ],
)
def test_a_cell_is_the_value_made_safe(value, cell):
    assert csv_cell(value) == cell
