"""Real servers that are told to end: uvicorn, gunicorn with --preload; everything they answered is stored."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress

import pytest

from auditmw import AuditTrail

WSGI = """
import os
from auditmw import AuditTrail
trail = AuditTrail(os.environ["TRAIL"], journal_dir=os.environ["JOURNAL"])
with trail.call(action="preload"):
    pass

def app(environ, start_response):
    with trail.call(action="request") as call:
        pass
    start_response("200 OK", [("content-type", "text/plain")])
    return [call.request_id.encode()]
"""

ASGI = """
import asyncio, os
from auditmw import AuditTrail
from auditmw.asgi import AuditMiddleware
trail = AuditTrail(os.environ["TRAIL"], journal_dir=os.environ["JOURNAL"])

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    async with trail.call(action="request") as call:
        await asyncio.sleep(0.002)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": call.request_id.encode()})

app = AuditMiddleware(app, trail=trail, lifespan=True)
"""
BARE = ASGI.replace("app = AuditMiddleware(app, trail=trail, lifespan=True)", "")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def serving(tmp_path, program, url, *command):
    """A server under load; gives it, and the ids that it has answered."""
    (tmp_path / "application.py").write_text(textwrap.dedent(program))
    port = free_port()
    with (tmp_path / "stderr").open("wb") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", *[part.format(port=port) for part in command]],
            cwd=tmp_path,
            env=os.environ | {"TRAIL": url, "JOURNAL": str(tmp_path / "journal")},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
    answered, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                answered.append(answer.read().decode())
            time.sleep(0.001)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 30
        while len(answered) < 50:
            assert child.poll() is None, (tmp_path / "stderr").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield child, answered
    finally:
        stop.set()
        child.kill()
        child.wait()
        for thread in threads:
            thread.join()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/audit.db"


def stored(url, tmp_path):
    with AuditTrail(url, journal_dir=tmp_path / "journal") as trail:
        trail.sync.flush(20)
        return list(trail.sync.query())


def journals(tmp_path):
    return list((tmp_path / "journal").glob("*.journal"))


def test_uvicorn_drains_when_it_is_told_to_end(tmp_path, url):
    with serving(tmp_path, ASGI, url, "uvicorn", "application:app", "--port", "{port}", "--log-level", "error") as (
        server,
        answered,
    ):
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) in {0, -signal.SIGTERM}
    assert journals(tmp_path) == []
    assert set(answered) <= {entry.request_id for entry in stored(url, tmp_path)}


def test_an_application_that_does_not_close_its_trail_loses_nothing_when_uvicorn_ends(tmp_path):
    url = f"sqlite:///{tmp_path}/audit.db"
    with serving(tmp_path, BARE, url, "uvicorn", "application:app", "--port", "{port}", "--log-level", "error") as (
        server,
        answered,
    ):
        server.send_signal(signal.SIGTERM)
        server.wait(20)
    assert set(answered) <= {entry.request_id for entry in stored(url, tmp_path)}


def test_gunicorn_with_preload_forks_workers_that_each_write_and_drain(tmp_path, url):
    command = ["gunicorn", "--preload", "--workers", "3", "--bind", "127.0.0.1:{port}", "application:app"]
    with serving(tmp_path, WSGI, url, *command) as (server, answered):
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, (tmp_path / "stderr").read_text()
    assert journals(tmp_path) == []
    entries = stored(url, tmp_path)
    assert set(answered) <= {entry.request_id for entry in entries}
    assert sum(entry.action == "preload" for entry in entries) == 1
    assert len({entry.writer for entry in entries if entry.action == "request"}) == 3
