"""One entry per request to an LLM endpoint that an app serves, from the bytes that pass by."""

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator

import anthropic
import httpx2
import openai
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from auditmw import AuditTrail, Blocked
from auditmw.asgi import AuditMiddleware
from auditmw.errors import ConfigurationError
from auditmw.middleware import Hasher, Timer, Writer
from auditmw.providers.anthropic import AnthropicMessages

PATH = "/v1/messages"


def app_of(endpoint, path=PATH, middleware=()):
    return Starlette(routes=[Route(path, endpoint, methods=["POST", "GET"])], middleware=list(middleware))


def post(app, *, path=PATH, **request):
    """Post in memory, for what needs no real server."""

    async def send():
        transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, **request)

    return asyncio.run(send())


def streaming(*chunks, **options):
    async def endpoint(request):
        await request.body()
        return StreamingResponse(pieces(), media_type="text/event-stream", **options)

    async def pieces():
        for chunk in chunks:
            yield chunk

    return endpoint


def test_an_answer_is_recorded_with_what_was_asked_and_what_it_used(running, trail, entries, ask, message):
    async def endpoint(request):
        await request.json()
        return JSONResponse(message, headers={"request-id": "req_7"})

    with running(AuditMiddleware(app_of(endpoint), trail, endpoints=True, user=lambda scope: "alice")) as url:
        assert httpx2.post(url + PATH, json=ask).json() == message
    (entry,) = entries()
    assert (entry.kind, entry.status, entry.http_status, entry.action) == ("llm", "success", 200, PATH)
    assert (entry.user_id, entry.provider, entry.model, entry.stream) == ("alice", "anthropic", ask["model"], False)
    assert (entry.input_tokens, entry.output_tokens, entry.stop_reason) == (12, 9, "end_turn")
    assert (entry.provider_request_id, entry.response_id) == ("req_7", "msg_1")
    assert entry.cost_status == "priced"
    assert entry.input_hash is not None
    assert entry.latency_us is not None
    assert entry.ttft_us is None


def test_a_stream_is_recorded_with_the_same_digests_and_counts(running, trail, entries, ask, message, events):
    apps = {False: lambda request: JSONResponse(message), True: streaming(*events)}

    async def endpoint(request):
        body = await request.json()
        answer = apps[body["stream"]](request)
        return await answer if body["stream"] else answer

    with running(AuditMiddleware(app_of(endpoint), trail, endpoints=True)) as url:
        httpx2.post(url + PATH, json={**ask, "stream": False})
        assert httpx2.post(url + PATH, json={**ask, "stream": True}).content == b"".join(events)
    plain, streamed = entries()
    assert (plain.stream, streamed.stream) == (False, True)
    assert plain.output_hash == streamed.output_hash is not None
    assert plain.input_hash == streamed.input_hash is not None
    assert (streamed.status, streamed.output_tokens, streamed.cost_nano) == ("success", 9, plain.cost_nano)
    assert streamed.ttft_us is not None


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/llm/v1/messages", "/v1/messages/"])
def test_the_paths_of_every_format_are_recorded_under_any_prefix(trail, entries, path):
    post(AuditMiddleware(app_of(lambda request: Response(status_code=404), path), trail, endpoints=True), path=path)
    assert [entry.action for entry in entries()] == [path]


@pytest.mark.parametrize("path", ["/survey/responses", "/v1/messages/count_tokens", "/v1/embeddings", "/"])
def test_other_paths_are_not(trail, entries, path):
    post(AuditMiddleware(app_of(lambda request: Response(), path), trail, endpoints=True), path=path)
    assert entries() == []


def test_only_the_listed_paths_are_recorded(trail, entries):
    async def app(scope, receive, send):
        await Response()(scope, receive, send)

    listed = AuditMiddleware(app, trail, endpoints=["/team/chat/completions"])
    post(listed, path="/team/chat/completions")
    post(listed, path=PATH)
    assert [entry.action for entry in entries()] == ["/team/chat/completions"]


def test_a_function_may_give_the_reader_of_a_path(trail, entries, ask, message):
    async def app(scope, receive, send):
        await JSONResponse(message)(scope, receive, send)

    post(AuditMiddleware(app, trail, endpoints={"/generate": AnthropicMessages()}.get), path="/generate", json=ask)
    assert [(entry.kind, entry.output_tokens) for entry in entries()] == [("llm", 9)]


def test_a_served_model_of_another_vendor_is_not_said_to_be_openais(trail, entries):
    completion = {"object": "chat.completion", "model": "llama-4", "choices": [], "usage": {"prompt_tokens": 1}}
    path = "/v1/chat/completions"
    app = AuditMiddleware(app_of(lambda request: JSONResponse(completion), path), trail, endpoints=True)
    post(app, path=path, json={"model": "llama-4", "messages": []})
    assert [(entry.provider, entry.model, entry.status) for entry in entries()] == [(None, "llama-4", "success")]


def test_other_messages_of_an_answer_pass_as_they_are(trail, entries):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    sent, messages = (
        [],
        [
            {"type": "http.response.debug", "info": {}},
            {"type": "http.response.start", "status": 204, "headers": [(b"x-request-id", b"1")], "trailers": True},
            {"type": "http.response.body", "body": b""},
            {"type": "http.response.trailers", "headers": []},
        ],
    )
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    asyncio.run(AuditMiddleware(app, trail, endpoints=True)(scope, receive, send))
    assert sent == messages
    assert [entry.status for entry in entries()] == ["success"]


@pytest.mark.parametrize("endpoints", [["/generate"], "/v1/messages"])
def test_a_path_that_no_reader_knows_is_refused(trail, endpoints):
    with pytest.raises(ConfigurationError, match="endpoints"):
        AuditMiddleware(None, trail, endpoints=endpoints)


def test_other_methods_without_a_body_are_not_recorded(trail, entries):
    async def get():
        transport = httpx2.ASGITransport(AuditMiddleware(app_of(lambda request: Response()), trail, endpoints=True))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get(PATH)

    asyncio.run(get())
    assert entries() == []


@pytest.mark.parametrize("method", ["post", "PUT"])
def test_a_body_is_recorded_however_its_method_is_spelled(trail, entries, ask, method):
    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        pass

    body = json.dumps(ask).encode()
    scope = {"type": "http", "method": method, "path": PATH, "headers": [(b"content-length", b"%d" % len(body))]}
    asyncio.run(AuditMiddleware(Response(status_code=405), trail, endpoints=True)(scope, receive, send))
    assert [(entry.model, entry.http_status) for entry in entries()] == [(ask["model"], 405)]


def test_08_the_first_event_reaches_the_client_before_the_last_has_been_seen(running, trail, entries, ask, events):
    received = threading.Event()

    async def endpoint(request):
        async def pieces():
            yield events[0]
            await asyncio.to_thread(received.wait, 10)
            for event in events[1:]:
                yield event

        await request.body()
        return StreamingResponse(pieces(), media_type="text/event-stream")

    with (
        running(AuditMiddleware(app_of(endpoint), trail, endpoints=True)) as url,
        httpx2.stream("POST", url + PATH, json=ask) as response,
    ):
        chunks = response.iter_raw()
        assert next(chunks) == events[0]
        received.set()
        assert b"".join(chunks) == b"".join(events[1:])
    assert [entry.status for entry in entries()] == ["success"]


def test_25_a_client_that_leaves_a_stream_is_recorded_with_what_had_passed(running, trail, entries, ask, events):
    async def endpoint(request):
        async def pieces():
            yield events[0] + events[1]
            await asyncio.Event().wait()

        await request.body()
        return StreamingResponse(pieces(), media_type="text/event-stream")

    with (
        running(AuditMiddleware(app_of(endpoint), trail, endpoints=True)) as url,
        httpx2.stream("POST", url + PATH, json=ask) as response,
    ):
        next(response.iter_raw())
    (entry,) = entries()
    assert (entry.status, entry.response_id, entry.http_status) == ("abandoned", "msg_1", 200)
    assert (entry.input_tokens, entry.output_tokens, entry.usage_complete) == (12, None, False)


def test_25_a_client_that_leaves_a_plain_endpoint_does_not_cancel_it(running, trail, entries, ask, message):
    arrived, left = threading.Event(), threading.Event()

    async def endpoint(request):
        arrived.set()
        await asyncio.to_thread(left.wait, 10)
        return JSONResponse(message)

    with running(AuditMiddleware(app_of(endpoint), trail, endpoints=True)) as url, httpx2.Client() as client:
        client.build_request("POST", url + PATH, json=ask)
        leave = threading.Thread(target=lambda: (arrived.wait(10), client.close(), left.set()))
        leave.start()
        with pytest.raises(httpx2.TransportError):
            client.post(url + PATH, json=ask, timeout=httpx2.Timeout(0.2, connect=5))
        left.set()
        leave.join()
    assert [(entry.status, entry.output_tokens) for entry in entries()] == [("success", 9)]


def test_25_a_client_that_leaves_while_it_sends_its_request_is_recorded(trail, entries, ask):
    async def app(scope, receive, send):
        messages.append(await receive())
        messages.append(await receive())
        raise OSError("the client left")

    async def receive():
        return incoming.pop(0)

    messages, incoming = (
        [],
        [
            {"type": "http.request", "body": b'{"model": ', "more_body": True},
            {"type": "http.disconnect"},
        ],
    )
    expected = list(incoming)
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    with pytest.raises(OSError, match="left"):
        asyncio.run(AuditMiddleware(app, trail, endpoints=True)(scope, receive, None))
    assert messages == expected
    assert [(entry.status, entry.model) for entry in entries()] == [("abandoned", None)]


def test_a_server_that_says_by_an_error_that_the_client_left_is_understood(trail, entries):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        raise BrokenPipeError

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    with pytest.raises(BrokenPipeError):
        asyncio.run(AuditMiddleware(app, trail, endpoints=True)(scope, receive, send))
    assert [entry.status for entry in entries()] == ["abandoned"]


def test_26_an_exception_of_the_app_goes_on_unchanged_and_is_recorded(trail, entries, ask):
    async def app(scope, receive, send):
        raise failure

    failure = ValueError("broken app")
    with pytest.raises(ValueError, match="broken app") as caught:
        post(AuditMiddleware(app, trail, endpoints=True), json=ask)
    assert caught.value is failure
    (entry,) = entries()
    assert (entry.status, entry.error_type, entry.error_message) == ("error", "ValueError", "broken app")
    assert entry.http_status is None


def test_an_error_in_mid_stream_is_recorded_with_its_own_type(trail, entries, ask, events):
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    post(AuditMiddleware(app_of(streaming(events[0], error)), trail, endpoints=True), json=ask)
    (entry,) = entries()
    assert (entry.status, entry.error_type, entry.http_status) == ("error", "overloaded_error", 200)


def test_an_http_error_is_recorded_with_its_status_and_type(trail, entries, ask):
    refusal = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    post(AuditMiddleware(app_of(lambda r: JSONResponse(refusal, 429)), trail, endpoints=True), json=ask)
    (entry,) = entries()
    assert (entry.status, entry.error_type, entry.http_status) == ("error", "rate_limit_error", 429)
    assert entry.cost_status == "not_billed"


def test_a_stream_that_ends_without_its_final_event_is_incomplete(trail, entries, ask, events):
    post(AuditMiddleware(app_of(streaming(*events[:3])), trail, endpoints=True), json=ask)
    assert [entry.status for entry in entries()] == ["incomplete"]


def test_an_app_that_never_ends_its_answer_is_incomplete(trail, entries, ask):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with pytest.raises(AssertionError):  # httpx2 misses the end, too
        post(AuditMiddleware(app, trail, endpoints=True), json=ask)
    assert [entry.status for entry in entries()] == ["incomplete"]


async def test_a_cancelled_server_task_is_recorded_as_cancelled(trail, ask):
    started = asyncio.Event()

    async def app(scope, receive, send):
        started.set()
        await asyncio.Event().wait()

    async def receive():
        return {"type": "http.request", "body": json.dumps(ask).encode()}

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    task = asyncio.create_task(AuditMiddleware(app, trail, endpoints=True)(scope, receive, None))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await trail.flush()
    assert [entry.status async for entry in trail.query()] == ["cancelled"]


def test_a_request_that_the_garbage_collector_ends_is_recorded_as_cancelled(trail, entries, ask):
    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async def receive():
        return {"type": "http.request", "body": json.dumps(ask).encode()}

    async def start_and_forget():
        scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
        coroutine = AuditMiddleware(app, trail, endpoints=True)(scope, receive, None)
        coroutine.send(None)
        coroutine.close()

    asyncio.run(start_and_forget())
    assert [entry.status for entry in entries()] == ["cancelled"]


def test_a_background_task_is_no_part_of_the_answer(running, trail, entries, ask, message):
    ended = threading.Event()

    async def endpoint(request):
        return JSONResponse(message, background=BackgroundTask(ended.wait, 10))

    with running(AuditMiddleware(app_of(endpoint), trail, endpoints=True)) as url:
        httpx2.post(url + PATH, json=ask)
        while not (made := entries()):  # the answer may be here before the server has sealed its entry
            pass
        ended.set()
    assert made[0].status == "success"


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn):
        return AuthCredentials(), SimpleUser(conn.headers["x-login"])


def test_24_the_user_of_an_inner_middleware_is_recorded_for_a_served_endpoint_too(trail, entries, ask, message):
    inner = [Middleware(AuthenticationMiddleware, backend=ByHeader())]
    app = AuditMiddleware(app_of(lambda r: JSONResponse(message), middleware=inner), trail, endpoints=True)
    post(app, json=ask, headers={"x-login": "dora"})
    assert [entry.user_id for entry in entries()] == ["dora"]


def test_tokens_are_counted_once_where_the_app_itself_makes_a_recorded_call(trail, entries, provider, ask):
    async def endpoint(request):
        async with trail.wrap(anthropic.AsyncAnthropic(api_key="test", base_url=provider.url)) as client:
            answer = await client.messages.create(**await request.json())
        return JSONResponse(answer.to_dict())

    post(AuditMiddleware(app_of(endpoint), trail, endpoints=True), json=ask)
    inner, outer = entries()
    assert (inner.kind, inner.parent_id) == ("llm", outer.request_id)
    assert inner.output_tokens
    assert (outer.kind, outer.status, outer.output_tokens, outer.cost_nano) == ("function", "success", None, None)


def test_a_body_beyond_the_cap_passes_unread_and_in_the_same_pieces(running, trail, entries, ask):
    received = []

    async def endpoint(request):
        received.extend([chunk async for chunk in request.stream()])
        return Response()

    body = json.dumps({**ask, "system": "a" * 300_000}).encode()
    with running(AuditMiddleware(app_of(endpoint), trail, endpoints=True, max_body=100_000)) as url:
        httpx2.post(url + PATH, content=body)
    assert b"".join(received) == body
    assert [(entry.status, entry.model) for entry in entries()] == [("success", None)]


def test_an_answer_beyond_the_cap_passes_and_is_not_kept(trail, entries, ask, events):
    response = post(AuditMiddleware(app_of(streaming(*events)), trail, endpoints=True, max_body=400), json=ask)
    assert response.content == b"".join(events)
    (entry,) = entries()
    assert (entry.status, entry.cost_status, entry.output_tokens) == ("success", "no_usage", None)
    assert entry.metadata["answer_beyond_cap"] is True


def test_a_large_body_is_read_away_from_the_loop(trail, entries, ask, message):
    app = AuditMiddleware(app_of(lambda request: JSONResponse(message)), trail, endpoints=True)
    post(app, json={**ask, "system": "a" * 300_000})
    assert [entry.model for entry in entries()] == [ask["model"]]


@pytest.mark.parametrize("body", [b"no json", b"", b"\xff", b"[]"])
def test_a_body_that_is_no_request_is_recorded_and_the_apps_to_judge(trail, entries, body):
    app = app_of(lambda request: JSONResponse({"error": "bad"}, 400))
    assert post(AuditMiddleware(app, trail, endpoints=True), content=body).status_code == 400
    assert [(entry.status, entry.model, entry.http_status) for entry in entries()] == [("error", None, 400)]


def test_a_compressed_answer_is_read(trail, entries, ask, message):
    packed = gzip.compress(json.dumps(message).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    app = AuditMiddleware(app_of(lambda request: Response(packed, headers=headers)), trail, endpoints=True)
    assert post(app, json=ask).json() == message
    assert [entry.output_tokens for entry in entries()] == [9]


class Guard:
    """A middleware that must see every body: it makes names unreadable, and readable again in the answer."""

    on_error = "block"

    def around(self, call) -> Iterator[None]:
        text = json.dumps(call.request)
        if "forbidden" in text:
            raise Blocked("it says forbidden")
        if "Alice" in text:
            call.request = json.loads(text.replace("Alice", "[NAME]"))
            call.on_chunk(self.restore)
        yield

    def restore(self, chunk):
        if isinstance(chunk, bytes):
            return chunk.replace(b"[NAME]", b"Alice")
        return json.loads(json.dumps(chunk).replace("[NAME]", "Alice"))


@pytest.fixture
def guarded(monkeypatch):
    monkeypatch.setenv("AUDITMW_KEY", "5a" * 32)
    with AuditTrail("memory://", pipeline=[Writer(), Hasher(), Guard(), Timer()]) as trail:
        yield trail


def stored(trail):
    trail.sync.flush(10)
    return list(trail.sync.query())


def echo(message, received, *, stream=False, headers=None):
    """An endpoint that says what it was asked, in two chunks."""

    async def endpoint(request):
        body = await request.body()
        received.append((body, dict(request.headers)))
        text = json.loads(body)["messages"][0]["content"]
        whole = json.dumps({**message, "content": [{"type": "text", "text": text}]}).encode()

        async def pieces():
            yield whole[:-5]
            yield whole[-5:]

        media_type = "text/event-stream" if stream else "application/json"
        return StreamingResponse(pieces(), media_type=media_type, headers=headers)

    return endpoint


def alice(ask):
    return {**ask, "messages": [{"role": "user", "content": "I am Alice"}]}


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_rewritten_for_the_app_and_the_answer_restored(running, guarded, ask, message, stream):
    received = []
    app = AuditMiddleware(app_of(echo(message, received, stream=stream)), guarded, endpoints=True)
    with running(app) as url:
        response = httpx2.post(url + PATH, json=alice(ask))
    body, headers = received[0]
    assert json.loads(body) == {**ask, "messages": [{"role": "user", "content": "I am [NAME]"}]}
    assert headers["content-length"] == str(len(body))
    assert headers["accept-encoding"] == "identity"
    assert response.json()["content"] == [{"type": "text", "text": "I am Alice"}]
    assert [entry.status for entry in stored(guarded)] == ["incomplete" if stream else "success"]


def test_a_request_without_findings_reaches_the_app_byte_by_byte(guarded, ask, message):
    received = []
    body = json.dumps(ask, indent=3).encode()
    response = post(AuditMiddleware(app_of(echo(message, received)), guarded, endpoints=True), content=body)
    assert received[0][0] == body
    assert response.json()["content"] == [{"type": "text", "text": "hello"}]


def test_a_whole_answer_that_is_no_json_or_packed_passes_the_hooks_unchanged(guarded, ask):
    packed = gzip.compress(b"[NAME]")
    for answer in [Response(b"[NAME] is no JSON"), Response(packed, headers={"content-encoding": "gzip"})]:
        app = app_of(lambda request, answer=answer: answer)
        expected = b"[NAME]" if answer.headers.get("content-encoding") else b"[NAME] is no JSON"
        assert post(AuditMiddleware(app, guarded, endpoints=True), json=alice(ask)).content == expected


def test_an_answer_too_large_to_be_held_passes_as_it_is(guarded, ask):
    async def pieces():
        for _ in range(5):
            yield b"[NAME]" * 50

    app = app_of(lambda request: StreamingResponse(pieces(), media_type="application/json"))
    response = post(AuditMiddleware(app, guarded, endpoints=True, max_body=500), json=alice(ask))
    assert response.content == b"[NAME]" * 250


def test_an_error_is_passed_as_it_is(guarded, ask):
    app = app_of(lambda request: JSONResponse({"error": {"message": "[NAME]"}}, 400))
    response = post(AuditMiddleware(app, guarded, endpoints=True), json=alice(ask))
    assert response.json() == {"error": {"message": "[NAME]"}}


def never(scope, receive, send):
    raise AssertionError("the app must not see it")


@pytest.mark.parametrize(
    ("request_", "status", "error_type"),
    [
        ({"content": b"x" * 2000}, 413, "request_too_large"),
        ({"content": b"no json"}, 400, "invalid_request_error"),
        ({"content": gzip.compress(b"{}"), "headers": {"content-encoding": "gzip"}}, 415, "invalid_request_error"),
    ],
)
def test_a_body_that_cannot_be_checked_is_refused_and_recorded(guarded, request_, status, error_type):
    response = post(AuditMiddleware(never, guarded, endpoints=True, max_body=1000), **request_)
    assert response.status_code == status
    assert response.json()["error"]["type"] == error_type
    (entry,) = stored(guarded)
    assert (entry.status, entry.error_type) == ("blocked", error_type)


def test_a_blocked_call_never_reaches_the_app_and_both_sdks_understand_the_refusal(running, guarded, ask):
    asked = {**ask, "messages": [{"role": "user", "content": "forbidden"}]}
    with (
        running(AuditMiddleware(never, guarded, endpoints=True), lifespan="off") as url,
        anthropic.Anthropic(api_key="test", base_url=url) as client,
        openai.OpenAI(api_key="test", base_url=f"{url}/v1") as other,
    ):
        with pytest.raises(anthropic.PermissionDeniedError, match="it says forbidden"):
            client.messages.create(**asked)
        with pytest.raises(openai.PermissionDeniedError, match="it says forbidden"):
            other.chat.completions.create(model="gpt-6-sol", messages=asked["messages"])
    assert [(entry.status, entry.error_message) for entry in stored(guarded)] == [("blocked", "it says forbidden")] * 2


def test_where_the_trail_refuses_the_request_is_answered_with_503(tmp_path, ask):
    (tmp_path / "file").touch()
    trail = AuditTrail("memory://", journal_dir=tmp_path / "file", on_failure="refuse")
    response = post(AuditMiddleware(never, trail, endpoints=True), json=ask)
    trail.close()
    assert response.status_code == 503
    assert "audit trail" in response.json()["error"]["message"]
