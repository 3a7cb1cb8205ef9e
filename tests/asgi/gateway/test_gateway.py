"""The gateway in a real server, the real SDKs before it, a real HTTP server behind it."""

import asyncio
import hashlib
import json
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai
import pytest
from starlette.responses import Response

from auditmw import Call
from auditmw.asgi import AuditMiddleware
from auditmw.errors import MissingExtra
from auditmw.gateway import gateway, serve
from auditmw.gateway.routes import Unread, recorded
from auditmw.testing import Answer, Drop, Gzip, Hang, MidStreamError, Status, Truncate

CHAT = {"model": "gpt-6-sol", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def claude(url):
    with anthropic.Anthropic(api_key="sk-secret", base_url=url, max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(url):
    with openai.OpenAI(api_key="sk-secret", base_url=f"{url}/v1", max_retries=0) as client:
        yield client


def test_a_message_of_the_anthropic_sdk_is_passed_and_recorded(claude, provider, ask, trail):
    answer = claude.messages.create(**ask)
    entry = settled(trail)
    assert answer._request_id == entry.provider_request_id == "req_000000000000000000000001"
    assert (entry.status, entry.provider, entry.model) == ("success", "anthropic", ask["model"])
    assert (entry.input_tokens, entry.output_tokens) == (answer.usage.input_tokens, answer.usage.output_tokens)
    assert entry.cost_status == "priced"
    assert json.loads(provider.requests[0].body) == ask


def settled(trail, count=1):
    """The entries, when so many are there: an answer may arrive before the server has sealed its entry."""
    deadline = threading.Event()
    timer = threading.Timer(10, deadline.set)
    timer.start()
    try:
        while True:
            trail.sync.flush(10)
            found = list(trail.sync.query())
            if len(found) >= count or deadline.is_set():
                assert len(found) == count
                return found[0] if count == 1 else found
    finally:
        timer.cancel()


def test_a_stream_of_the_anthropic_sdk_is_passed_and_recorded(claude, ask, trail):
    with claude.messages.stream(**ask) as stream:
        answer = stream.get_final_message()
    entry = settled(trail)
    assert (entry.status, entry.stream, entry.output_tokens) == ("success", True, answer.usage.output_tokens)
    assert entry.ttft_us is not None


def test_chat_completions_of_the_openai_sdk_are_passed_and_recorded(gpt, trail):
    answer = gpt.chat.completions.create(**CHAT)
    chunks = list(gpt.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    plain, streamed = settled(trail, 2)
    assert (plain.status, plain.provider, plain.output_tokens) == ("success", "openai", answer.usage.completion_tokens)
    assert answer._request_id == plain.provider_request_id
    assert (streamed.status, streamed.output_tokens) == ("success", chunks[-1].usage.completion_tokens)


def test_32_a_chat_stream_without_usage_is_recorded_as_no_usage(gpt, trail):
    list(gpt.chat.completions.create(**CHAT, stream=True))
    entry = settled(trail)
    assert (entry.status, entry.cost_status, entry.output_tokens) == ("success", "no_usage", None)


def test_responses_of_the_openai_sdk_are_passed_and_recorded(gpt, trail):
    answer = gpt.responses.create(model="gpt-6-sol", input="hello")
    events = list(gpt.responses.create(model="gpt-6-sol", input="hello", stream=True))
    plain, streamed = settled(trail, 2)
    assert (plain.status, plain.output_tokens) == ("success", answer.usage.output_tokens)
    assert (streamed.status, streamed.output_tokens) == ("success", events[-1].response.usage.output_tokens)


def test_what_lies_below_an_endpoint_is_recorded_as_a_request(claude, ask, trail):
    claude.messages.count_tokens(model=ask["model"], messages=ask["messages"])
    entry = settled(trail)
    assert (entry.kind, entry.action, entry.status) == ("request", "/v1/messages/count_tokens", "success")


def test_what_is_posted_in_no_known_format_is_recorded_too_and_cleaned_where_it_is_json(url, provider, trail):
    body = {"model": "embed-1", "input": "my card is 4111 1111 1111 1111"}
    httpx2.post(f"{url}/v1/embeddings", json=body, headers={"x-api-key": "k"})
    entry = settled(trail)
    assert (entry.kind, entry.action, entry.provider, entry.model) == ("request", "/v1/embeddings", None, "embed-1")
    assert entry.http_status == 404
    assert entry.error_type is not None
    assert entry.input_hash is not None
    assert b"4111" not in provider.requests[0].body


def test_what_is_no_json_passes_to_endpoints_of_no_known_format_and_the_entry_says_so(url, provider, trail):
    httpx2.post(f"{url}/v1/files", content=b"\xff a file", headers={"x-api-key": "k"})
    assert settled(trail).metadata["body_not_checked"] is True
    assert provider.requests[0].body == b"\xff a file"


def test_an_answer_that_is_a_file_is_passed_and_not_kept(running, trail):
    async def upstream(scope, receive, send):
        await Response(b"\x00sound" * 1000, media_type="audio/mpeg")(scope, receive, send)

    with running(AuditMiddleware(upstream, trail, endpoints=recorded), lifespan="off") as url:
        assert httpx2.post(f"{url}/v1/audio/speech", json={"model": "tts"}).content == b"\x00sound" * 1000
    entry = settled(trail)
    assert (entry.kind, entry.model, entry.status, entry.output_hash) == ("request", "tts", "success", None)


def test_without_httpx2_it_says_what_to_install(trail, monkeypatch):
    monkeypatch.delitem(sys.modules, "auditmw.gateway.proxy", raising=False)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingExtra, match=r"auditmw\[gateway\]"):
        gateway("http://upstream.invalid", trail)


def test_without_uvicorn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"auditmw\[gateway\]"):
        serve(None, host="127.0.0.1", port=1, grace=0)


def test_paths_and_queries_reach_the_upstream_as_they_were_sent(through, provider, trail):
    with through(f"{provider.url}/base/") as url, socket_of(url) as connection:
        connection.sendall(b"GET /v1/m%6fdels%2Fx?a=%20b&c HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
        read_all(connection)
    assert provider.requests[0].path == "/base/v1/m%6fdels%2Fx?a=%20b&c"
    assert provider.requests[0].headers["host"] == urlsplit(provider.url).netloc
    assert (
        "connection" not in provider.requests[0].headers or provider.requests[0].headers["connection"] == "keep-alive"
    )


def socket_of(url):
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def read_all(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_an_answer_is_passed_byte_by_byte_with_its_headers(url, provider, ask):
    provider.script(Gzip(), Gzip())
    request = {"json": ask, "headers": {"x-api-key": "k", "accept-encoding": "gzip"}}
    direct, passed = (httpx2.post(f"{base}/v1/messages", **request) for base in (provider.url, url))
    ids = {"request-id", "x-request-id", "transfer-encoding"}
    assert {k: v for k, v in passed.headers.items() if k not in ids} == {
        k: v for k, v in direct.headers.items() if k not in ids
    }
    assert passed.headers["content-encoding"] == "gzip"
    assert passed.json()["content"] == direct.json()["content"]


@pytest.mark.parametrize("code", [400, 401, 429, 500, 529])
def test_errors_of_the_upstream_reach_the_sdk_as_they_are_and_are_recorded(claude, provider, ask, trail, code):
    provider.script(Status(code))
    with pytest.raises(anthropic.APIStatusError) as caught:
        claude.messages.create(**ask)
    entry = settled(trail)
    assert caught.value.status_code == entry.http_status == code
    assert caught.value.type == entry.error_type
    assert entry.status == "error"
    assert caught.value.request_id == entry.provider_request_id


def test_every_attempt_of_an_sdk_that_tries_again_is_recorded(url, provider, ask, trail):
    provider.script(Status(529, retry_after=0), Drop(), ())
    with anthropic.Anthropic(api_key="k", base_url=url, max_retries=2) as client:
        client.messages.create(**ask)
    first, second, third = settled(trail, 3)
    assert [entry.status for entry in (first, second, third)] == ["error", "error", "success"]
    assert (second.http_status, second.error_type) == (502, "api_error")
    assert "RemoteProtocolError" in second.error_message


def test_an_upstream_that_is_not_there_is_answered_with_502(through, ask, trail):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with through(f"http://127.0.0.1:{port}") as url:
        answer = httpx2.post(f"{url}/v1/messages", json=ask)
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "the gateway cannot reach 127.0.0.1: ConnectError"
    assert settled(trail).http_status == 502


def test_an_upstream_that_does_not_accept_in_time_is_answered_with_504(monkeypatch, through, ask):
    async def connect_for_ever(*_, **__):
        raise httpx2.ConnectTimeout("")

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", connect_for_ever)
    with through("http://upstream.invalid") as url:
        assert httpx2.post(f"{url}/v1/messages", json=ask).status_code == 504


def test_06_an_error_event_in_mid_stream_reaches_the_sdk_and_is_recorded(claude, provider, ask, trail):
    provider.script(MidStreamError())
    with pytest.raises(anthropic.APIStatusError, match="middle"), claude.messages.stream(**ask) as stream:
        stream.get_final_message()
    entry = settled(trail)
    assert (entry.status, entry.http_status, entry.error_type) == ("error", 200, "overloaded_error")


def test_05_a_stream_that_ends_without_its_final_event_is_incomplete(claude, provider, ask, trail):
    provider.script(Truncate(4))
    with claude.messages.stream(**ask) as stream:
        stream.get_final_message()
    entry = settled(trail)
    assert (entry.status, entry.output_tokens) == ("incomplete", None)


def test_an_upstream_that_breaks_off_in_mid_stream_breaks_the_clients_connection_off_too(
    claude, provider, ask, trail, caplog
):
    provider.script(Drop(after_events=4))
    with pytest.raises(httpx2.RemoteProtocolError), claude.messages.stream(**ask) as stream:
        stream.get_final_message()
    entry = settled(trail)
    assert (entry.status, entry.error_type, entry.http_status) == ("error", "RemoteProtocolError", 200)


def test_08_the_first_event_passes_while_the_upstream_still_holds_the_rest(claude, provider, ask, trail):
    provider.script(Hang(after_events=1))
    with claude.messages.create(**ask, stream=True) as stream:
        assert next(iter(stream)).type == "message_start"
        provider.release()
        assert list(stream)[-1].type == "message_stop"
    assert settled(trail).status == "success"


class Upstream:
    """An upstream that answers with endless events, and knows when its client has left."""

    def __init__(self, head: bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n") -> None:
        self.head = head
        self.sent = 0
        self.arrived, self.left = threading.Event(), threading.Event()
        self.received = b""

    @contextmanager
    def running(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self.serve, args=(listener,))
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            self.left.wait(10)
            thread.join(10)

    def serve(self, listener):
        connection, _ = listener.accept()
        with connection:
            while b"\r\n\r\n" not in self.received:
                self.received += connection.recv(65536)
            self.arrived.set()
            with suppress(OSError):
                self.answer(connection)
            self.left.set()

    def answer(self, connection):
        """Send as fast as it is taken."""
        connection.sendall(self.head)
        while True:
            self.sent += connection.send(b": keep\n\n" * 1000)


class SilentUpstream(Upstream):
    """One that never answers."""

    def answer(self, connection):
        while connection.recv(65536):
            pass


def test_the_upstream_request_is_cancelled_when_the_client_leaves_a_stream(through, ask, trail):
    upstream = Upstream()
    with upstream.running() as base, through(base) as url:
        with httpx2.stream("POST", f"{url}/v1/messages", json=ask) as response:
            next(response.iter_raw())
        assert upstream.left.wait(10)
    assert settled(trail).status == "abandoned"


def test_the_upstream_request_is_cancelled_when_the_client_leaves_before_the_answer(through, ask, trail):
    upstream = SilentUpstream()
    body = json.dumps(ask).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n" % len(body)
    with upstream.running() as base, through(base) as url:
        with socket_of(url) as connection:
            connection.sendall(head + body)
            assert upstream.arrived.wait(10)
        assert upstream.left.wait(10)
    entry = settled(trail)
    assert (entry.status, entry.http_status) == ("abandoned", None)


def test_a_client_that_leaves_while_it_sends_its_body_ends_the_upstream_request(through, trail, ask):
    upstream = SilentUpstream()
    with upstream.running() as base, through(base, max_body=10) as url:
        with socket_of(url) as connection:
            connection.sendall(b"PUT /files HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000\r\n\r\nbegin a long body")
            assert upstream.arrived.wait(10)
        assert upstream.left.wait(10)


def test_a_slow_reader_slows_the_upstream_down(through, ask, trail):
    upstream = Upstream()
    body = json.dumps(ask).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n" % len(body)
    with upstream.running() as base, through(base) as url:
        with socket_of(url) as connection:
            connection.sendall(head + body)
            connection.recv(1)
            stalled = until_stalled(upstream)
        assert upstream.left.wait(10)
    assert stalled < 32_000_000  # what lies in the sockets' buffers of both sides and no more


def until_stalled(upstream):
    """How much was sent when nothing more goes out for half a second."""
    sent = -1
    while sent != upstream.sent:
        sent = upstream.sent
        upstream.left.wait(0.5)
    return sent


def test_bodies_of_ten_megabytes_pass_both_ways(claude, provider, ask, trail):
    large = "word " * 2_000_000
    provider.script(Answer(large))
    answer = claude.messages.create(**{**ask, "max_tokens": 5_000_000}, system=large, timeout=60)
    assert answer.content[0].text == large
    assert json.loads(provider.requests[0].body)["system"] == large
    entry = settled(trail)
    assert (entry.status, entry.output_tokens) == ("success", answer.usage.output_tokens)


def test_a_large_stream_is_passed_whole(claude, provider, ask, trail):
    provider.script(Answer("word " * 50_000))
    with claude.messages.stream(**{**ask, "max_tokens": 5_000_000}) as stream:
        assert "".join(stream.text_stream) == "word " * 50_000
    assert settled(trail).status == "success"


def test_many_requests_go_over_few_connections(url, provider, ask, trail):
    async def ask_often():
        async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as client:
            for _ in range(5):
                await asyncio.gather(*(client.messages.create(**ask) for _ in range(4)))

    asyncio.run(ask_often())
    assert len(settled(trail, 20)) == 20


def test_the_user_is_named_by_a_header_that_goes_no_further(through, provider, ask, trail):
    with through(user_header="X-User", session_header="X-Session") as url:
        headers = {"X-User": "alice", "X-Session": "s1"}
        with anthropic.Anthropic(api_key="k", base_url=url, default_headers=headers) as client:
            client.messages.create(**ask)
    entry = settled(trail)
    assert (entry.user_id, entry.session_id) == ("alice", "s1")
    assert not {"x-user", "x-session"} & provider.requests[0].headers.keys()


def test_a_header_of_a_stranger_names_nobody(through, ask, trail):
    with through(user_header="X-User", trusted_proxies=["10.0.0.0/8"]) as url:
        httpx2.post(f"{url}/v1/messages", json=ask, headers={"X-User": "mallory", "x-api-key": "k"})
    assert settled(trail).user_id is None


def test_the_user_is_named_by_the_key_table_where_no_header_does(through, ask, trail, tmp_path):
    table = tmp_path / "keys"
    table.write_text(f"{hashlib.sha256(b'sk-alice').hexdigest()} alice\n")
    with through(user_header="X-User", key_table=table) as url:
        for key, user in [("sk-alice", None), ("sk-alice", "bob"), ("sk-other", None)]:
            headers = {"X-User": user} if user else None
            with anthropic.Anthropic(api_key=key, base_url=url, default_headers=headers) as client:
                client.messages.create(**ask)
    assert [entry.user_id for entry in settled(trail, 3)] == ["alice", "bob", None]


def test_what_the_sanitizer_takes_out_does_not_reach_the_provider_and_comes_back_in_the_answer(
    claude, provider, ask, trail
):
    provider.answer = lambda request: Answer(request.json()["messages"][0]["content"])
    text = "my card is 4111 1111 1111 1111, thank you"
    asked = {**ask, "messages": [{"role": "user", "content": text}]}
    assert claude.messages.create(**asked).content[0].text == text
    with claude.messages.stream(**asked) as stream:
        assert stream.get_final_text() == text
    assert all(b"4111" not in request.body for request in provider.requests)
    assert {entry.sanitization["CARD"] for entry in settled(trail, 2)} == {1}


def test_with_a_sanitizer_a_body_beyond_the_cap_is_refused_and_not_sent(through, provider, ask, trail):
    with through(max_body=1000) as url:
        answer = httpx2.post(f"{url}/v1/messages", json={**ask, "system": "a" * 2000})
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
    assert provider.requests == []
    assert settled(trail).status == "blocked"


def test_a_reader_of_nothing_knows_no_answer_and_reads_none():
    call = Call(request_id="r", timestamp_us=0)
    Unread().read_response(call, {"usage": {"input_tokens": 1}})
    assert (Unread().matches({}), call.usage) == (False, None)


def test_a_websocket_is_closed():
    from auditmw.gateway.proxy import Proxy

    async def connect():
        sent = []

        async def send(message):
            sent.append(message["type"])

        await Proxy("http://upstream.invalid")({"type": "websocket"}, None, send)
        return sent

    assert asyncio.run(connect()) == ["websocket.close"]
