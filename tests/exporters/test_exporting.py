"""Files that go on where they ended, whatever ended them."""

import json
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw import exporting
from auditmw.errors import ConfigurationError
from auditmw.exporters import FORMATS
from auditmw.exporters.exporter import LineExporter
from auditmw.exporting import Export, without

JSONL = FORMATS["jsonl"]


class CutOff(Exception):  # noqa: N818  (what happened, no error of the code)
    pass


def leaves(path):
    return [json.loads(line)["leaf_index"] for line in path.read_text().splitlines()]


@pytest.fixture
def files(tmp_path):
    return tmp_path / "out.jsonl", tmp_path / "cursor"


@pytest.fixture
def killed_after(monkeypatch):
    """A block that ends after so many changes to files, as a kill would end it."""

    @contextmanager
    def killed(steps):
        came, left = SimpleNamespace(to_its_end=False), count(steps, -1)

        def counted(function):
            def step(*arguments, **options):
                if next(left) <= 0:
                    raise CutOff
                return function(*arguments, **options)

            return step

        with monkeypatch.context() as patch, suppress(CutOff):
            for name in ("replace", "unlink", "write_bytes", "open"):
                patch.setattr(Path, name, counted(getattr(Path, name)))
            patch.setattr(LineExporter, "write", counted(LineExporter.write))
            yield came
            came.to_its_end = True

    return killed


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
    run = Export(JSONL, *files)
    run.run(map(make_entry, range(0 if run.after is None else run.after + 1, 21)))
    assert leaves(files[0]) == list(range(21))


@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_a_first_run_of_nothing_can_go_on(name, files, make_entry):
    form = FORMATS[name]
    for entries in ([], [], map(make_entry, range(3)), map(make_entry, range(3, 5))):
        Export(form, *files).run(entries)
        assert files[0].exists()
    whole = files[0].with_name("whole")
    Export(form, whole).run(map(make_entry, range(5)))
    assert files[0].read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("name", ["jsonl", "csv"])
@pytest.mark.parametrize("written", [0, 3])
def test_a_run_that_is_killed_after_any_step_is_made_good_by_the_next(name, written, files, make_entry, killed_after):
    form, steps = FORMATS[name], 0
    whole = files[0].with_name("whole")
    Export(form, whole).run(map(make_entry, range(12)))
    while True:
        for path in files[0].parent.glob("[oc]*"):
            path.unlink()
        Export(form, *files).run(map(make_entry, range(written)))
        with killed_after(steps) as came:
            Export(form, *files).run(map(make_entry, range(written, 12)))
        run = Export(form, *files)
        run.run(map(make_entry, range(0 if run.after is None else run.after + 1, 12)))
        assert files[0].read_bytes() == whole.read_bytes()
        if came.to_its_end:
            break
        steps += 1
    assert steps > 4


@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_a_run_into_a_new_file_that_is_killed_after_any_step_is_made_good_too(name, files, make_entry, killed_after):
    form, steps = FORMATS[name], 0
    old, whole = files[0].with_name("old"), files[0].with_name("whole")
    Export(form, whole).run(map(make_entry, range(3, 12)))
    while True:
        for path in files[0].parent.glob("[oc]*"):
            path.unlink()
        Export(form, *files).run(map(make_entry, range(3)))
        files[0].rename(old)
        with killed_after(steps) as came:
            Export(form, *files).run(map(make_entry, range(3, 12)))
        run = Export(form, *files)
        run.run(map(make_entry, range(run.after + 1, 12)))
        assert files[0].read_bytes() == whole.read_bytes()
        if came.to_its_end:
            break
        steps += 1
    assert steps > 4


@pytest.mark.parametrize("name", ["jsonl", "csv"])
@pytest.mark.parametrize("written", [0, 3])
@pytest.mark.parametrize("first", [0, 100])
def test_a_file_that_the_cursor_was_not_written_with_is_left_alone(name, written, first, files, make_entry):
    form, other = FORMATS[name], files[0].with_name("other")
    Export(form, *files).run(map(make_entry, range(written)))
    Export(form, other).run(map(make_entry, range(first, first + 10)))
    before = other.read_bytes()
    with pytest.raises(ConfigurationError, match="name a new file, which begins"):
        Export(form, other, files[1])
    assert other.read_bytes() == before


def test_a_file_goes_on_under_another_name_and_as_a_copy(files, make_entry):
    Export(JSONL, *files).run(map(make_entry, range(3)))
    copy = files[0].with_name("copy")
    copy.write_bytes(files[0].read_bytes())

    def torn():
        yield from map(make_entry, range(3, 5))
        raise CutOff

    with pytest.raises(CutOff):
        Export(JSONL, copy, files[1]).run(torn())
    Export(JSONL, copy, files[1]).run(map(make_entry, range(3, 6)))
    assert leaves(copy) == list(range(6))


@pytest.mark.parametrize("written", [None, 3])
def test_a_file_that_comes_while_a_new_one_is_written_is_left_alone(written, files, make_entry):
    old = files[0].with_name("old")
    if written is None:
        old.write_text("precious")
    else:
        Export(JSONL, *files).run(map(make_entry, range(written)))
        files[0].rename(old)
    before = old.read_bytes()

    def meanwhile():
        yield make_entry(3)
        old.rename(files[0])

    with pytest.raises(ConfigurationError, match=r"is there already|has come back"):
        Export(JSONL, *files).run(meanwhile())
    assert files[0].read_bytes() == before


def test_a_file_of_the_same_name_and_length_is_left_alone(files, make_entry):
    Export(JSONL, *files).run(map(make_entry, range(3)))
    files[0].write_bytes(files[0].read_bytes().replace(b"alice", b"bobby"))
    before = files[0].read_bytes()
    with pytest.raises(ConfigurationError, match="give the cursor that it was written with"):
        Export(JSONL, *files)
    assert files[0].read_bytes() == before


def test_what_went_to_standard_output_is_not_looked_for_in_a_file(files, make_entry, capsysbinary):
    Export(JSONL, None, files[1]).run(map(make_entry, range(3)))
    files[0].write_bytes(capsysbinary.readouterr().out)
    with pytest.raises(ConfigurationError, match=r"name a new file, which begins after leaf 2"):
        Export(JSONL, *files)
    assert leaves(files[0]) == [0, 1, 2]


def test_a_cursor_of_an_older_version_goes_on_where_nothing_must_be_cut_away(files, make_entry):
    Export(JSONL, *files).run(map(make_entry, range(3)))
    length = files[0].stat().st_size
    files[1].write_text(f'{{"format":"jsonl","leaf_index":2,"bytes":{length}}}')
    Export(JSONL, *files).run(map(make_entry, range(3, 5)))
    assert leaves(files[0]) == list(range(5))
    files[1].write_text(f'{{"format":"jsonl","leaf_index":2,"bytes":{length}}}')
    with pytest.raises(ConfigurationError, match="name a new file, which begins after leaf 2"):
        Export(JSONL, *files)
    assert leaves(files[0]) == list(range(5))


def test_a_file_that_another_run_is_writing_is_refused(files, make_entry):
    def meanwhile():
        yield make_entry(0)
        with pytest.raises(ConfigurationError, match="another run"):
            Export(JSONL, *files).run(map(make_entry, range(1, 3)))
        yield make_entry(1)

    for expected in ([0, 1], [0, 1, 0, 1]):
        Export(JSONL, *files).run(meanwhile())
        assert leaves(files[0]) == expected


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
