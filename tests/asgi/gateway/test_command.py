"""`auditmw gateway` in a process of its own."""

import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import anthropic
import httpx2
import pytest

from auditmw import AuditTrail
from auditmw.testing import Hang

KEY = "sk-secret-0123456789"


@contextmanager
def gateway_process(*options):
    """A gateway, when it takes connections; SIGTERM ends it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "auditmw", "gateway", "--port", str(port), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: is_listening(port) or process.poll() is not None)
            yield process, f"http://127.0.0.1:{port}"
            process.terminate()
            process.wait(30)
        finally:
            process.kill()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def is_listening(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_it_records_what_passes_and_keeps_no_key(provider, tmp_path, ask):
    database = f"sqlite:///{tmp_path}/audit.db"
    with gateway_process("--upstream", provider.url, "--db", database, "--user-header", "X-User") as (process, url):
        headers = {"X-User": "alice"}
        with anthropic.Anthropic(api_key=KEY, base_url=url, default_headers=headers) as client:
            client.messages.create(**ask)
        process.terminate()
        assert process.stderr.read().startswith(f"{url} -> {provider.url}")
    assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"
    with AuditTrail(database) as trail:
        assert [(entry.user_id, entry.status) for entry in trail.sync.query()] == [("alice", "success")]
    assert [file for file in tmp_path.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()] == []


def test_a_stream_in_flight_ends_whole_after_sigterm_and_is_recorded(provider, tmp_path, ask):
    database = f"sqlite:///{tmp_path}/audit.db"
    provider.script(Hang(after_events=2))
    with gateway_process("--upstream", provider.url, "--db", database) as (process, url):
        with anthropic.Anthropic(api_key=KEY, base_url=url) as client, client.messages.stream(**ask) as stream:
            next(iter(stream))
            process.terminate()
            port = int(url.rpartition(":")[2])
            until(lambda: not is_listening(port))
            provider.release()
            assert stream.get_final_message().stop_reason == "end_turn"
        process.wait(20)
    with AuditTrail(database) as trail:
        assert [entry.status for entry in trail.sync.query()] == ["success"]


def test_a_stream_that_outlasts_the_grace_is_recorded_as_cancelled(provider, tmp_path, ask):
    database = f"sqlite:///{tmp_path}/audit.db"
    provider.script(Hang(after_events=2))
    with (
        gateway_process("--upstream", provider.url, "--db", database, "--grace", "0") as (process, url),
        httpx2.stream("POST", f"{url}/v1/messages", json=ask | {"stream": True}, headers={"x-api-key": KEY}) as stream,
    ):
        chunks = stream.iter_raw()
        next(chunks)
        process.terminate()
        with pytest.raises(httpx2.RemoteProtocolError):
            list(chunks)
        process.wait(20)
    with AuditTrail(database) as trail:
        assert [entry.status for entry in trail.sync.query()] == ["cancelled"]


def test_it_says_what_is_missing_and_exits_as_for_wrong_usage():
    with gateway_process("--upstream", "api.anthropic.com", "--db", "memory://") as (process, _):
        assert process.wait(20) == 3
        assert "base URL" in process.stderr.read()
