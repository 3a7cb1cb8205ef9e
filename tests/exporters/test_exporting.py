"""Files that go on where they ended, whatever ended them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw import exporting
from auditmw.errors import ConfigurationError
from auditmw.exporters import FORMATS
from auditmw.exporting import Export, without

JSONL = FORMATS["jsonl"]


class CutOff(Exception):  # noqa: N818  (what happened, no error of the code)
    pass


def leaves(path):
    return [json.loads(line)["leaf_index"] for line in path.read_text().splitlines()]


@pytest.fixture
def files(tmp_path):
    return tmp_path / "out.jsonl", tmp_path / "cursor"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(exporting, "PAGE", 2)
    monkeypatch.setattr(exporting, "PAGES_A_CURSOR", 2)


def test_a_later_run_adds_what_is_new(files, make_entry):
    first = Export(JSONL, *files)
    assert (first.after, first.run(map(make_entry, range(5)))) == (None, 5)
    second = Export(JSONL, *files)
    assert (second.after, second.run(map(make_entry, range(5, 8)))) == (4, 3)
    assert leaves(files[0]) == list(range(8))


def test_a_run_of_nothing_new_changes_nothing(files, make_entry):
    Export(JSONL, *files).run(map(make_entry, range(3)))
    before = [path.read_bytes() for path in files]
    assert Export(JSONL, *files).run([]) == 0
    assert [path.read_bytes() for path in files] == before


@given(cut=st.integers(0, 20))
def test_every_entry_is_in_the_file_once_wherever_a_run_is_cut_off(cut, tmp_path_factory, make_entry):
    folder = tmp_path_factory.mktemp("cut")
    files = folder / "out.jsonl", folder / "cursor"

    def torn():
        yield from map(make_entry, range(cut))
        raise CutOff

    with pytest.raises(CutOff):
        Export(JSONL, *files).run(torn())
    if not files[1].exists():  # it ended before its first cursor
        files[0].unlink()
    run = Export(JSONL, *files)
    run.run(map(make_entry, range(0 if run.after is None else run.after + 1, 21)))
    assert leaves(files[0]) == list(range(21))


def test_a_file_that_was_taken_away_begins_anew_after_the_cursor(files, make_entry):
    form = FORMATS["csv"]
    Export(form, *files).run(map(make_entry, range(3)))
    files[0].unlink()
    Export(form, *files).run(map(make_entry, range(3, 5)))
    header, *rows = files[0].read_text().splitlines()
    assert header.startswith("request_id,")
    assert len(rows) == 2


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_a_file_that_is_there_is_never_written_over(name, tmp_path):
    out = tmp_path / "out"
    out.write_text("precious")
    with pytest.raises(ConfigurationError, match="is there already"):
        Export(FORMATS[name], out, tmp_path / "cursor")
    assert out.read_text() == "precious"


def test_a_file_that_is_shorter_than_its_cursor_says_is_refused(files, make_entry):
    Export(JSONL, *files).run(map(make_entry, range(3)))
    files[0].write_text("")
    with pytest.raises(ConfigurationError, match="is shorter"):
        Export(JSONL, *files).run([])


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"format":"csv","leaf_index":1,"bytes":2}', "export to csv"), ("[]", "cannot be read as a cursor")],
)
def test_the_cursor_of_another_export_is_refused(text, message, files):
    files[1].write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        Export(JSONL, *files)


def test_parquet_needs_a_file():
    with pytest.raises(ConfigurationError, match="--out"):
        Export(FORMATS["parquet"], None)


def test_a_parquet_file_is_there_whole_or_not_at_all(tmp_path, make_entry):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    one, two, cursor = tmp_path / "1.parquet", tmp_path / "2.parquet", tmp_path / "cursor"

    def torn():
        yield make_entry(0)
        raise CutOff

    with pytest.raises(CutOff):
        Export(FORMATS["parquet"], one, cursor).run(torn())
    assert list(tmp_path.iterdir()) == []
    Export(FORMATS["parquet"], one, cursor).run(map(make_entry, range(3)))
    run = Export(FORMATS["parquet"], two, cursor)
    assert run.after == 2
    run.run(map(make_entry, range(3, 5)))
    assert [parquet.read_table(path).num_rows for path in (one, two)] == [3, 2]


def test_standard_output_is_written_and_remembered(tmp_path, capsysbinary, make_entry):
    seen = []
    Export(JSONL, None, tmp_path / "cursor").run(map(make_entry, range(3)), lambda *told: seen.append(told))
    assert len(capsysbinary.readouterr().out.splitlines()) == 3
    assert seen == [(2, 1), (3, 2)]
    assert Export(JSONL, None, tmp_path / "cursor").after == 2


def test_classes_of_fields_can_be_left_out(make_entry):
    stripped = without(["who", "metadata"])(make_entry())
    assert (stripped.user_id, stripped.session_id, stripped.metadata, stripped.model) == (
        *(None, None, None),
        "claude-opus-4-7",
    )
    with pytest.raises(ConfigurationError, match="content"):
        without(["content"])
