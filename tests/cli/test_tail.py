import json
import os
import signal
import subprocess
import sys

from auditmw import AuditTrail


def test_the_last_entries_are_shown_and_obeyed_by_no_terminal(auditmw, db):
    result = auditmw("tail", "--no-follow", "-n", "3", db=db)
    assert result.code == 0
    assert len(result.out.splitlines()) == 3
    assert "\x1b[31m\x07" not in result.out
    assert "success" in result.out
    assert "$" not in auditmw("tail", "--no-follow", "--user", "bob", db=db).out


def test_filters_and_json(auditmw, db):
    lines = auditmw("tail", "--no-follow", "--status", "error", "--json", db=db).out.splitlines()
    assert [json.loads(line)["user_id"] for line in lines] == ["bob"]


def test_the_format_is_chosen_as_elsewhere(auditmw, db):
    wanted = ("tail", "--no-follow", "--user", "alice")
    shown = auditmw(*wanted, "--format", "json", db=db).out
    assert [json.loads(line)["user_id"] for line in shown.splitlines()] == ["alice", "alice"]
    assert auditmw(*wanted, "--json", db=db).out == shown
    header, *lines = auditmw(*wanted, "--format", "csv", db=db).out.splitlines()
    assert (header.split(",")[:2], len(lines)) == (list(json.loads(shown.splitlines()[0]))[:2], 2)


def test_it_follows_what_another_process_stores_until_it_is_interrupted(db):
    command = [sys.executable, "-m", "auditmw", "tail", "--db", db, "-n", "1", "--every", "0.05", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert json.loads(process.stdout.readline())["tenant"] == "acme"
            with AuditTrail(db) as trail, trail.call(user_id="late", model="m"):
                pass
            assert json.loads(process.stdout.readline())["user_id"] == "late"
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()
