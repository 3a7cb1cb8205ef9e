import io
import json
import sys

import pytest

LETTER = (
    "Dear Bob,\nwrite to bob@example.com or call +41 44 668 18 00.\n"
    "Nothing here.\x1b[2J\nIBAN GB82 WEST 1234 5698 7654 32\n"
)


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text(LETTER)
    return str(path)


def test_what_would_be_removed_is_shown_in_its_line(auditmw, letter):
    result = auditmw("scan", letter)
    assert result.code == 0
    assert "2 │ write to [-bob@example.com-][EMAIL] or call [-+41 44 668 18 00-][PHONE]." in result.words
    assert "4 │ IBAN [-GB82 WEST 1234 5698 7654 32-][IBAN]" in result.words
    assert "Nothing here" not in result.out
    assert result.err == (
        "3 found: 1 EMAIL, 1 IBAN, 1 PHONE.\nBy default a Sanitizer() counts EMAIL, PHONE and sends them as they are.\n"
    )


def test_what_a_sanitizer_replaces_by_default_needs_no_warning(auditmw, tmp_path):
    path = tmp_path / "text"
    path.write_text("pay with 4111 1111 1111 1111")
    assert auditmw("scan", str(path)).err == "1 found: 1 CARD.\n"


def test_json_tells_places_and_never_a_value(auditmw, letter):
    result = auditmw("scan", letter, "--format", "json")
    places = [json.loads(line) for line in result.out.splitlines()]
    assert places[0] == {"kind": "EMAIL", "line": 2, "column": 10, "start": 19, "end": 34}
    assert LETTER[19:34] == "bob@example.com"
    assert "bob@" not in result.out


def test_only_the_kinds_asked_for_are_found(auditmw, letter):
    out = auditmw("scan", letter, "--kinds", "iban, email", "--format", "csv").out
    assert [line.split(",")[0] for line in out.splitlines()] == ["kind", "EMAIL", "IBAN"]


def test_standard_input_is_read_whatever_bytes_it_holds(auditmw, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe bob@example.com\x1b[31m")))
    result = auditmw("scan", "-")
    assert "\\udcff\\udcfe [-bob@example.com-][EMAIL]\\x1b[31m" in result.out


def test_that_nothing_was_found_is_no_failure(auditmw, tmp_path):
    (tmp_path / "empty").touch()
    result = auditmw("scan", str(tmp_path / "empty"))
    assert (result.code, result.out, result.err) == (0, "", "Nothing was found.\n")


@pytest.mark.parametrize(
    ("arguments", "message"), [(["missing.txt"], "cannot be read"), (["-", "--kinds", "TASTE"], "TASTE"), ([], "FILE")]
)
def test_wrong_usage_is_one_message_and_3(arguments, message, auditmw, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    result = auditmw("scan", *arguments)
    assert (result.code, result.out) == (3, "")
    assert message in result.err
