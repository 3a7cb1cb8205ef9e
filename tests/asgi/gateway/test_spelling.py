"""No spelling of a request gets round the record: what an upstream may read otherwise is refused."""

import json
import socket
from urllib.parse import urlsplit

import pytest

CARD = {"role": "user", "content": "my card is 4111 1111 1111 1111"}


@pytest.fixture
def send(through, provider, ask):
    """Send a request byte by byte as it is spelled here; its status, and the error's message if there is one."""
    body = json.dumps({**ask, "messages": [CARD]}).encode()

    def send_spelled(method, path, content=body):
        head = f"{method} {path} HTTP/1.1\r\nHost: gateway\r\nX-Api-Key: k\r\nConnection: close\r\n"
        length = f"Content-Length: {len(content)}\r\n" if content else ""
        with through(f"{provider.url}/base") as url, socket.create_connection(address(url), timeout=10) as connection:
            connection.sendall(f"{head}{length}\r\n".encode() + content)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, text = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        return status, json.loads(text)["error"]["message"] if status in {400, 501} else None

    return send_spelled


def address(url):
    parts = urlsplit(url)
    return parts.hostname, parts.port


@pytest.mark.parametrize("method", ["post", "Post", "get"])
def test_a_method_that_is_not_in_capitals_is_refused_not_sent_and_on_record(send, provider, entries, method):
    status, message = send(method, "/v1/messages")
    assert (status, provider.requests) == (501, [])
    assert "in capitals" in message
    assert [(entry.kind, entry.status, entry.http_status) for entry in entries()] == [("llm", "error", 501)]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET", "QUERY"])
def test_a_body_under_any_method_is_recorded_and_sanitized(send, provider, entries, method):
    send(method, "/v1/messages")
    assert [(entry.kind, entry.sanitization["CARD"]) for entry in entries()] == [("llm", 1)]
    assert [(request.method, b"4111" in request.body) for request in provider.requests] == [(method, False)]


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "OPTIONS"])
def test_a_request_without_a_body_passes_and_makes_no_entry(send, provider, entries, method):
    send(method, "/v1/files/1", b"")
    assert [request.method for request in provider.requests] == [method]
    assert entries() == []
