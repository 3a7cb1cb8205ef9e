"""No spelling of a request gets round the record: what an upstream may read otherwise is refused."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from auditmw.gateway.spelling import sent_path

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


@pytest.mark.parametrize(
    "path",
    [
        "/v1/./messages",
        "/v1/x/../messages",
        "/../other/v1/messages",
        "/v1/%2e/messages",
        "/v1/x/%2E%2e/messages",
        "/v1/x/.%2E/messages",
        "/v1/x%2F..%2Fmessages",
        "/v1/messages/.",
        "/v1//messages",
        "/v1/%2fmessages",
        "/v1/messages//",
        "/v1\\messages",
        "/v1%5Cmessages",
        "/v1/messages#top",
        "v1/messages",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_refused_not_sent_and_on_record(send, provider, entries, path):
    status, message = send("POST", path)
    assert (status, provider.requests) == (400, [])
    assert "write the path" in message
    assert [(entry.status, entry.http_status) for entry in entries()] == [("error", 400)]


def test_no_path_leaves_the_base_path_of_the_upstream_without_a_body_either(send, provider):
    assert send("GET", "/../other/models", b"")[0] == 400
    assert provider.requests == []


@pytest.mark.parametrize(
    "path", ["/v1/files/gs%3A%2F%2Fbucket%2Fa.json", "/v1/files/...", "/v1/files/.env/", "/v1/a..b"]
)
def test_names_with_dots_and_identifiers_that_are_urls_pass_as_they_are(send, provider, path):
    send("GET", path, b"")
    assert [request.path for request in provider.requests] == [f"/base{path}"]


def test_where_a_server_gives_the_decoded_path_alone_it_is_encoded_again():
    assert sent_path({"path": "/v1/files/a?b c:\u00e9"}) == b"/v1/files/a%3Fb%20c:%C3%A9"
