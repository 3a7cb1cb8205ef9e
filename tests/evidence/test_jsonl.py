"""What can be said of a JSONL trail, which has leaves and no tree."""

import json

import pytest

from auditmw import AuditTrail
from auditmw.errors import NoTrail, TrailDamaged
from auditmw.log.keys import Ed25519Signer
from auditmw.verification import verify_trail


@pytest.fixture
def folder(tmp_path):
    with AuditTrail(f"jsonl:///{tmp_path / 'trail'}") as trail:
        for number in range(20):
            with trail.call(action="ask", user_id=f"u{number}") as call:
                call.metadata["number"] = number
    return tmp_path / "trail"


@pytest.fixture
def file(folder):
    (file,) = folder.glob("audit_*.jsonl")
    return file


def change(file, place, make):
    lines = file.read_bytes().splitlines(keepends=True)
    lines[place] = make(lines[place])
    file.write_bytes(b"".join(lines))


def verify(folder, **options):
    return verify_trail(f"jsonl:///{folder}", **options)


def test_an_untouched_trail_is_at_best_self_consistent(folder):
    report = verify(folder)
    assert (report.verdict, report.entries, report.complete.closed) == ("self-consistent", 22, 1)
    assert verify(folder, verifiers=[Ed25519Signer("jsonl", bytes(32)).verifier]).verdict == "cannot tell"


@pytest.mark.parametrize(
    "make",
    [
        lambda line: line.replace(b'"u4"', b'"u5"'),
        lambda line: line.replace(b'{"', b'{ "', 1),
        lambda line: line.replace(b'"v":1', b'"v":1,"v":1', 1),
        lambda line: line.replace(b'{"', b'{"newer":1,"', 1),
        lambda line: line.replace(b'"number":4', b'"number":4.0'),
        lambda line: json.dumps({**json.loads(line), "salts": "00" * 160}).encode() + b"\n",
        lambda line: b"nonsense\n",
        lambda line: b"[]\n",
        lambda line: b"\n",
        lambda line: b'{"salts":"","leaf":""}\n',
    ],
    ids=range(10),
)
def test_a_changed_line_is_named(folder, file, make):
    change(file, 5, make)
    report = verify(folder)
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 5)


def test_a_line_that_was_taken_out_put_in_or_moved_is_noticed(folder, file):
    lines = file.read_bytes().splitlines(keepends=True)
    for changed in (
        lines[:5] + lines[6:],
        lines[:5] + lines[4:],
        [*lines[:5], lines[6], lines[5], *lines[7:]],
        lines[1:],
    ):
        file.write_bytes(b"".join(changed))
        assert verify(folder).verdict == "tampered"


def test_lines_that_were_cut_off_at_the_end_leave_no_trace(folder, file):
    """The limit of a store without a tree."""
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-3]))
    report = verify(folder)
    assert (report.verdict, report.entries) == ("self-consistent", 19)
    assert len(report.complete.open) == 1


def test_a_torn_end_is_no_tampering(folder, file):
    file.write_bytes(file.read_bytes() + b'{"torn')
    assert verify(folder).verdict == "self-consistent"


def test_an_empty_file_or_folder_is_never_ok(folder, file):
    file.write_bytes(b"")
    assert verify(folder).verdict == "empty"
    file.unlink()
    with pytest.raises(NoTrail):
        verify(folder)


def test_settings_that_cannot_be_read_are_damage(folder):
    (folder / "settings.json").write_text("{")
    with pytest.raises(TrailDamaged):
        verify(folder)


def test_several_processes_are_no_use_here_and_no_harm(folder):
    assert verify(folder, jobs=2) == verify(folder)
