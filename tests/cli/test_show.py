import json

import pytest
from uuid_utils import uuid7

from auditmw import AuditTrail


@pytest.fixture
def entries(auditmw, db):
    return [json.loads(line) for line in auditmw("query", "--format", "json", "--oldest-first", db=db).out.splitlines()]


def test_all_that_an_entry_says_is_shown(auditmw, db, entries):
    result = auditmw("show", entries[1]["request_id"], db=db)
    assert result.code == 0
    for words in ("claude-opus-4-7", "$0.035125", "input_tokens 7,000", "status success", "absent: "):
        assert words in result.words


def test_the_time_of_storing_is_shown_as_the_whole_second_that_it_is(auditmw, db, entries):
    identity, stored_at = entries[1]["request_id"], entries[1]["stored_at"]
    assert stored_at.endswith(".000000Z")
    assert f"stored_at {stored_at.replace('.000000Z', 'Z')}" in auditmw("show", identity, db=db).words


def test_of_a_trail_that_keeps_no_content_that_is_said_after_the_purpose_is_asked_for(auditmw, db, entries):
    result = auditmw("show", entries[1]["request_id"], "--content", db=db)
    assert (result.code, "Give a --purpose" in result.err) == (3, True)
    result = auditmw("show", entries[1]["request_id"], "--content", "--purpose", "complaint", db=db)
    assert (result.code, 'this trail keeps no content (content="none")' in result.err) == (3, True)


def test_the_other_attempts_of_the_call_are_shown(auditmw, db, entries):
    assert "the call's 2 attempts" in auditmw("show", entries[2]["request_id"], db=db).out
    assert "attempts" not in auditmw("show", entries[0]["request_id"], db=db).out


def test_an_error_message_is_shown_and_not_obeyed(auditmw, db, entries):
    out = auditmw("show", entries[2]["request_id"], db=db).out
    assert "overloaded\\x1b[2J" in out
    assert "\x1b" not in out


def test_an_entry_is_found_by_how_a_table_shortens_its_id(auditmw, db, entries):
    identity = entries[0]["request_id"]
    short = f"{identity[:13]}-{identity[-4:]}"
    assert short in auditmw("query", db=db).out
    assert identity in auditmw("show", short, db=db).out


def test_an_entry_is_found_by_how_its_id_begins(auditmw, db, entries):
    identity = entries[0]["request_id"]
    assert identity in auditmw("show", identity[:30], db=db).out


def test_the_last_attempt_of_a_call_is_found_by_the_id_of_the_call(auditmw, db, entries):
    assert f"request_id {entries[3]['request_id']}" in auditmw("show", "retried", db=db).words


def test_json_and_csv_show_the_entry_as_a_query_does(auditmw, db, entries):
    out = auditmw("show", entries[0]["request_id"], "--format", "json", db=db).out
    assert json.loads(out) == entries[0]
    header, _ = auditmw("show", entries[0]["request_id"], "--format", "csv", db=db).out.splitlines()
    assert header.split(",") == list(entries[0])


@pytest.mark.parametrize(
    "identity", ["unknown", "019ab1c2-3d4e-8e07", "not-an-id-at-all", "ffffffff-ffff", "\x1b[31mred\x1b[0m and more"]
)
def test_an_id_that_there_is_not_is_3(identity, auditmw, db):
    result = auditmw("show", identity, db=db)
    assert (result.code, result.out) == (3, "")
    assert "no entry has the id" in result.err
    assert "\x1b" not in result.err


def test_an_id_that_means_several_entries_is_3(auditmw, tmp_path, monkeypatch):
    first = str(uuid7())
    ids = iter([first, f"{first[:-1]}{int(first[-1], 16) ^ 1:x}"])
    db = f"sqlite:///{tmp_path}/twins.db"
    with AuditTrail(db) as trail:
        monkeypatch.setattr("auditmw.recorder.uuid7", lambda: next(ids))
        for _ in range(2):
            with trail.call():
                pass
    result = auditmw("show", first[:13], db=db)
    assert result.code == 3
    assert "give the whole id" in result.err
