"""`auditmw dashboard` in a process of its own."""

import http.client
import re
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def served(db):
    """The command, and the port on which it listens."""
    command = [sys.executable, "-m", "auditmw", "dashboard", "--port", "0", "--db", db]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = next((line for line in process.stderr if line.startswith("http://")), "")
        yield process, int(re.match(r"http://127\.0\.0\.1:(\d+)/", line)[1])
        process.kill()


def test_it_shows_the_trail_on_this_machine_and_ends_when_told(served):
    process, port = served
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/entries")
    response = connection.getresponse()
    assert response.status == 200
    assert b"alice" in response.read()
    assert response.getheader("server") is None
    connection.request("GET", "/entries", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) in {0, 130, -signal.SIGINT}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "audit.example"])
def test_it_listens_on_loopback_only(host, auditmw, db):
    result = auditmw("dashboard", "--host", host, db=db)
    assert (result.code, result.out) == (3, "")
    assert "authorize" in result.err


def test_a_trail_that_there_is_not_is_3(auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = auditmw("dashboard", db="sqlite:///missing.db")
    assert result.code == 3
    assert "there is no trail" in result.err


def test_without_uvicorn_it_says_what_to_install(auditmw, db, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = auditmw("dashboard", db=db)
    assert result.code == 3
    assert "auditmw[dashboard]" in result.err
