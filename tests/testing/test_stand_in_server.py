import http.client
import json
import logging
import socket
import threading
from urllib.parse import urlsplit

import anthropic
import anyio
import pytest

from auditmw.errors import ConfigurationError
from auditmw.testing import Answer, Hang, StandInProvider

ASK = {"model": "claude-sonnet-5-5", "max_tokens": 5000, "messages": [{"role": "user", "content": "Anybody there?"}]}
KEY = {"x-api-key": "test"}


@pytest.fixture
def connection(provider: StandInProvider):
    opened = http.client.HTTPConnection(urlsplit(provider.url).netloc, timeout=5)
    yield opened
    opened.close()


def post(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str] = KEY):
    connection.request("POST", "/v1/messages", body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read()), response


def open_socket(provider: StandInProvider) -> socket.socket:
    parts = urlsplit(provider.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=5)


def test_the_bytes_and_headers_of_a_request_are_kept_as_received(provider, connection):
    body = b'{ "model": "m",  "max_tokens": 1, "messages": [], "odd": "\\u00e9\xc3\xa9" }'
    post(connection, body, {**KEY, "X-Odd-Name": " value "})
    request = provider.requests[0]
    assert request.body == body
    assert (request.method, request.path, request.route) == ("POST", "/v1/messages", "/v1/messages")
    assert request.headers["x-odd-name"] == "value"
    assert request.model == "m"
    assert request.json()["odd"] == "éé"


def test_one_connection_serves_many_requests(connection):
    body = json.dumps(ASK).encode()
    ids = [post(connection, body)[1]["id"] for _ in range(3)]
    assert ids == [f"msg_{number:024d}" for number in (1, 2, 3)]


def test_requests_sent_ahead_are_answered_in_order(provider):
    body = json.dumps(ASK).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nx-api-key: t\r\ncontent-length: %d\r\n" % len(body)
    provider.script(Hang())
    with open_socket(provider) as raw:
        raw.sendall(head + b"\r\n" + body)
        provider.wait_for_requests(1)
        raw.sendall(head + b"connection: close\r\n\r\n" + body)
        provider.release()
        received = b"".join(iter(lambda: raw.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_a_request_in_many_small_pieces_is_put_together(provider):
    body = json.dumps(ASK).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nx-api-key: t\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    with open_socket(provider) as raw:
        for byte in head % len(body) + body:
            raw.send(bytes([byte]))
        assert b"".join(iter(lambda: raw.recv(65536), b"")).startswith(b"HTTP/1.1 200 OK")


def test_a_body_of_ten_megabytes_is_taken(provider, connection):
    body = json.dumps({**ASK, "system": "a" * 10_000_000}).encode()
    assert post(connection, body)[1]["usage"]["input_tokens"] > 2_500_000
    assert provider.requests[0].body == body


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff\xff"])
def test_a_body_that_is_no_json_object_is_refused(connection, provider, body):
    status, error, _ = post(connection, body)
    assert (status, error["error"]["type"]) == (400, "invalid_request_error")
    assert provider.requests[0].model is None


def test_a_request_without_a_key_is_refused(connection):
    assert post(connection, json.dumps(ASK).encode(), {})[0] == 401


def test_a_body_of_unknown_length_is_refused(provider):
    with open_socket(provider) as raw:
        raw.sendall(b"POST /v1/messages HTTP/1.1\r\nx-api-key: t\r\ntransfer-encoding: chunked\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 411 ")


def test_a_stream_that_nobody_reads_yet_waits_and_is_whole_when_read(provider, connection, claude):
    provider.script(Answer("w" * 10_000, deltas=2000))
    body = json.dumps({**ASK, "max_tokens": 10_000_000, "stream": True}).encode()
    connection.request("POST", "/v1/messages", body, KEY)
    provider.wait_for_requests(1)
    claude.messages.create(**ASK)  # answered: so the stand-in has stopped writing the 20 MB
    assert connection.getresponse().read().count(b"event: content_block_delta") == 2000


def test_a_failing_answer_function_breaks_the_connection_and_is_logged(provider, connection, caplog):
    provider.answer = lambda _: 1 / 0
    with caplog.at_level(logging.ERROR, "asyncio"), pytest.raises(http.client.RemoteDisconnected):
        post(connection, json.dumps(ASK).encode())
    provider.close()
    assert "division by zero" in caplog.text


def test_waiting_for_requests_that_do_not_come_says_how_many_came(provider):
    with pytest.raises(TimeoutError, match="0 of 2 requests"):
        provider.wait_for_requests(2, timeout=0.01)


def test_requests_are_not_kept_when_not_wanted():
    with StandInProvider(record=False) as provider:
        with anthropic.Anthropic(api_key="t", base_url=provider.url) as client:
            client.messages.create(**ASK)
        provider.wait_for_requests(1)
        assert provider.requests == []


async def test_a_stand_in_may_be_used_in_an_async_with():
    async with StandInProvider() as provider, anthropic.AsyncAnthropic(api_key="t", base_url=provider.url) as client:
        assert (await client.messages.create(**ASK)).stop_reason == "end_turn"


async def test_many_calls_at_once_are_served_and_counted(provider, async_claude):
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(lambda: async_claude.messages.create(**ASK))
    assert len(provider.requests) == 20


def test_closing_ends_the_thread_cuts_hanging_calls_and_may_be_done_twice():
    provider = StandInProvider().start()
    provider.script(Hang(after_events=1))
    client = anthropic.Anthropic(api_key="t", base_url=provider.url)
    stream = iter(client.messages.create(**ASK, stream=True))
    assert next(stream).type == "message_start"
    provider.close()
    provider.close()
    with pytest.raises(Exception, match=r"peer closed|reset"):
        next(stream)
    client.close()
    assert "auditmw-stand-in" not in {thread.name for thread in threading.enumerate()}


def test_the_url_of_a_stand_in_that_does_not_run_is_an_error():
    with pytest.raises(ConfigurationError, match="with StandInProvider"):
        StandInProvider().url  # noqa: B018  (reading it is what raises)
