"""What the tests of the web parts share: real servers, a trail to read back, an endpoint's answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from auditmw import AuditEntry, AuditTrail
from auditmw.middleware import CostCalculator, Hasher, Timer, Writer
from auditmw.testing import StandInProvider

ASK = {"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
USAGE = {"input_tokens": 12, "output_tokens": 9}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
    {"type": "message_stop"},
]


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def ask() -> dict:
    return ASK


@pytest.fixture
def message() -> dict:
    return MESSAGE


@pytest.fixture
def events() -> list[bytes]:
    """A whole stream, an event an item."""
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS]


@pytest.fixture
def trail(monkeypatch) -> Iterator[AuditTrail]:
    """A trail that lets every body pass, readable or not; `sanitizing_trail` does not."""
    monkeypatch.setenv("AUDITMW_KEY", "5a" * 32)
    with AuditTrail("memory://", pipeline=[Writer(), Hasher(), CostCalculator(), Timer()]) as trail:
        yield trail


@pytest.fixture
def sanitizing_trail(monkeypatch) -> Iterator[AuditTrail]:
    """A trail as it is by default."""
    monkeypatch.setenv("AUDITMW_KEY", "5a" * 32)
    with AuditTrail("memory://") as trail:
        yield trail


@pytest.fixture
def entries(trail) -> Callable[..., list[AuditEntry]]:
    """What the trail holds now, oldest first."""

    def stored(**wanted) -> list[AuditEntry]:
        trail.sync.flush(10)
        return list(trail.sync.query(**wanted))

    return stored


@pytest.fixture
def provider() -> Iterator[StandInProvider]:
    with StandInProvider() as running:
        yield running


@pytest.fixture(scope="session")
def running():
    """Run an ASGI app in a real uvicorn, in a thread; when the block ends, every request has ended."""
    return _running


@contextmanager
def _running(app, **options) -> Iterator[str]:
    settings = {"log_config": None, "date_header": False, "server_header": False, "proxy_headers": False, **options}
    server = uvicorn.Server(uvicorn.Config(app, **settings))
    with _listening() as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def run_in_process():
    """Run `python *arguments`, where `{fd}` stands for a listening socket; SIGTERM ends it when the block does."""
    return _run_in_process


@contextmanager
def _run_in_process(*arguments: str, **environment: str) -> Iterator[str]:
    with _listening() as listener:
        listener.set_inheritable(True)
        process = subprocess.Popen(
            [sys.executable, *(argument.replace("{fd}", str(listener.fileno())) for argument in arguments)],
            pass_fds=[listener.fileno()],
            env={**os.environ, **environment},
        )
        try:
            yield _url(listener)
            process.terminate()
            process.wait(30)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _listening() -> Iterator[socket.socket]:
    """A socket that takes connections from now on, so that nobody has to wait for the server."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    try:
        yield listener
    finally:
        listener.close()


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
