"""What is bound to a request, seen by real calls in a real server."""

import asyncio
import threading
from contextvars import copy_context

import anthropic
import anyio
import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from auditmw import AuditTrail
from auditmw.asgi import AuditMiddleware, header
from auditmw.context import current_binding
from auditmw.errors import ConfigurationError

anyone = ["*"]
by_header = {
    "user": header("x-user", trusted_proxies=anyone),
    "session": header("x-session", trusted_proxies=anyone),
    "tenant": header("x-tenant", trusted_proxies=anyone),
}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn):
        return AuthCredentials(), SimpleUser(conn.headers["x-login"])


@pytest.fixture
def llm(trail, provider):
    with trail.wrap(anthropic.Anthropic(api_key="test", base_url=provider.url)) as client:
        yield client


@pytest.fixture
def places(trail, provider, llm, ask):
    """An app with a path a place from which a call can be made."""
    app = FastAPI()

    async def call():
        async with trail.wrap(anthropic.AsyncAnthropic(api_key="test", base_url=provider.url)) as client:
            await client.messages.create(**ask)

    @app.get("/async")
    async def in_async_endpoint():
        await call()

    @app.get("/sync")
    def in_sync_endpoint():
        llm.messages.create(**ask)

    @app.get("/group")
    async def in_task_group():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)

    @app.get("/task")
    async def in_task_of_asyncio():
        await asyncio.create_task(call())

    @app.get("/thread")
    async def in_thread_pool():
        await asyncio.to_thread(llm.messages.create, **ask)
        await anyio.to_thread.run_sync(lambda: llm.messages.create(**ask))

    @app.get("/raw-thread")
    async def in_raw_thread():
        with trail.context() as context:
            thread = threading.Thread(target=context.run, args=(llm.messages.create,), kwargs=ask)
            thread.start()
        await asyncio.to_thread(thread.join)

    @app.get("/body")
    async def in_streaming_body():
        async def body():
            yield "1"
            await call()
            yield "2"

        return StreamingResponse(body())

    @app.get("/sync-body")
    async def in_sync_streaming_body():
        def body():
            yield "1"
            llm.messages.create(**ask)
            yield "2"

        return StreamingResponse(body())

    @app.get("/background")
    async def in_background_task():
        return PlainTextResponse("done", background=BackgroundTask(call))

    @app.get("/sync-background")
    async def in_sync_background_task():
        return PlainTextResponse("done", background=BackgroundTask(llm.messages.create, **ask))

    app.add_middleware(AuditMiddleware, trail=trail, **by_header)
    return app


def binding_app(trail, **options):
    """An app that answers with what is bound while it runs."""

    async def bound(request):
        binding = current_binding()
        names = ("user_id", "session_id", "tenant", "client_ip_hash", "trace_id", "span_id", "metadata")
        return JSONResponse({name: getattr(binding, name) for name in names})

    app = Starlette(routes=[Route("/", bound)])
    app.add_middleware(AuditMiddleware, trail=trail, **options)
    return app


def get_bound(app, headers=None, client=("127.0.0.1", 1)):
    async def get():
        transport = httpx2.ASGITransport(app, client=client)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get("/", headers=headers)

    return asyncio.run(get())


@pytest.mark.parametrize(
    "path",
    [
        "/async",
        "/sync",
        "/group",
        "/task",
        "/thread",
        "/raw-thread",
        "/body",
        "/sync-body",
        "/background",
        "/sync-background",
    ],
)
def test_23_what_the_middleware_binds_is_seen_by_calls_wherever_they_are_made(running, places, entries, path):
    with running(places) as url:
        headers = {"X-User": "alice", "X-Session": "s1", "X-Tenant": "acme", "X-Request-ID": "r-1"}
        httpx2.get(url + path, headers=headers).raise_for_status()
    made = entries()
    assert len(made) == (2 if path == "/thread" else 1)
    for entry in made:
        assert (entry.user_id, entry.session_id, entry.tenant, entry.status) == ("alice", "s1", "acme", "success")
        assert entry.metadata == {"http_request_id": "r-1"}


def test_22_two_requests_on_one_connection_with_large_bodies_share_nothing(running, trail):
    seen = []

    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        seen.append((scope["path"], scope["client"], binding.user_id if (binding := current_binding()) else None))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    audited = AuditMiddleware(app, trail, user=by_header["user"])

    async def unaudited_half(scope, receive, send):
        await (app if scope["path"] == "/bare" else audited)(scope, receive, send)

    with running(unaudited_half, lifespan="off") as url, httpx2.Client(base_url=url) as client:
        for path, user in [("/", "alice"), ("/", None), ("/", "bob"), ("/bare", None)]:
            client.post(path, content=b"x" * 300_000, headers={"X-User": user} if user else {})
    assert [(path, user) for path, _, user in seen] == [("/", "alice"), ("/", None), ("/", "bob"), ("/bare", None)]
    assert len({client for _, client, _ in seen}) == 1


def test_22_a_request_that_follows_while_a_background_task_still_runs_shares_nothing(running, trail):
    released, seen = threading.Event(), []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        if scope["path"] == "/first":
            await asyncio.to_thread(released.wait, 10)
        seen.append((scope["path"], current_binding().user_id))

    audited = AuditMiddleware(app, trail, user=by_header["user"])
    with running(audited, lifespan="off") as url, httpx2.Client(base_url=url) as client:
        client.post(url + "/first", content=b"x" * 300_000, headers={"X-User": "alice"})
        client.post(url + "/second", content=b"x" * 300_000)
        released.set()
    assert sorted(seen) == [("/first", "alice"), ("/second", None)]


def test_24_the_user_of_an_inner_authentication_middleware_is_recorded(running, trail, llm, ask, entries):
    def endpoint(request):
        llm.messages.create(**ask)
        return PlainTextResponse("done")

    middleware = [Middleware(AuditMiddleware, trail=trail), Middleware(AuthenticationMiddleware, backend=ByHeader())]
    with running(Starlette(routes=[Route("/", endpoint)], middleware=middleware)) as url:
        httpx2.get(url, headers={"X-Login": "dora"}).raise_for_status()
    assert [entry.user_id for entry in entries()] == ["dora"]


def test_a_name_given_in_an_inner_context_stays(trail):
    async def app(scope, receive, send):
        with trail.context(user_id="inner"):
            seen.append((current_binding().user_id, current_binding().session_id))

    seen = []
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-user", b"outer"), (b"x-session", b"s1")]}
    asyncio.run(AuditMiddleware(app, trail, **by_header)(scope, None, None))
    assert seen == [("inner", "s1")]


def test_a_source_that_fails_leaves_the_name_out_and_the_request_alone(trail, capsys):
    response = get_bound(binding_app(trail, user=lambda scope: scope["nobody"]["here"]))
    assert response.json()["user_id"] is None
    assert "auditmw.source_failed" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", None])
def test_an_empty_user_is_none(trail, name):
    assert get_bound(binding_app(trail, user=lambda scope: name)).json()["user_id"] is None


async def coroutine(scope):
    return "alice"


@pytest.mark.parametrize("source", [coroutine, "x-user"])
def test_a_source_that_is_no_plain_function_is_refused(trail, source):
    with pytest.raises(ConfigurationError, match="user_id"):
        AuditMiddleware(None, trail, user=source)


def test_a_well_formed_request_id_comes_back_and_another_is_made_for_any_other(trail):
    app = binding_app(trail)
    given = get_bound(app, {"X-Request-ID": "r-1"})
    assert given.headers["x-request-id"] == given.json()["metadata"]["http_request_id"] == "r-1"
    made = get_bound(app, {"X-Request-ID": "not well formed"})
    assert made.headers["x-request-id"] == made.json()["metadata"]["http_request_id"]
    assert len(made.headers["x-request-id"]) == 36


def test_a_request_id_that_the_application_answers_with_is_left_alone(trail):
    async def app(scope, receive, send):
        await PlainTextResponse("done", headers={"X-Request-ID": "its-own"})(scope, receive, send)

    assert get_bound(AuditMiddleware(app, trail), {"X-Request-ID": "r-1"}).headers.get_list("x-request-id") == [
        "its-own"
    ]


def test_the_address_of_the_client_is_kept_as_a_keyed_hash_only(trail):
    app = binding_app(trail)
    first, again, other = (
        get_bound(app, client=(ip, port)).json() for ip, port in [("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1)]
    )
    assert first["client_ip_hash"] == again["client_ip_hash"] != other["client_ip_hash"]
    assert len(first["client_ip_hash"]) == 64


def test_without_a_usable_key_the_address_is_not_kept_and_requests_are_served(monkeypatch, capsys):
    monkeypatch.setenv("AUDITMW_KEY", "no hex digits")
    assert get_bound(binding_app(AuditTrail("memory://"))).json()["client_ip_hash"] is None
    assert "auditmw.no_key" in capsys.readouterr().err


def test_the_trace_of_the_request_is_that_of_its_traceparent(trail):
    bound = get_bound(binding_app(trail), {"traceparent": TRACEPARENT}).json()
    assert (bound["trace_id"], bound["span_id"]) == (TRACEPARENT[3:35], TRACEPARENT[36:52])


def test_the_current_span_comes_before_the_traceparent(trail):
    from opentelemetry import trace

    span = trace.NonRecordingSpan(trace.SpanContext(0xA, 0xB, is_remote=False))
    with trace.use_span(span):
        bound = get_bound(binding_app(trail), {"traceparent": TRACEPARENT}).json()
    assert (bound["trace_id"], bound["span_id"]) == (f"{0xA:032x}", f"{0xB:016x}")


def test_a_request_that_the_garbage_collector_ends_leaves_nothing_behind(trail):
    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async def start_and_forget():
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        coroutine = AuditMiddleware(app, trail)(scope, None, None)
        context = copy_context()
        context.run(coroutine.send, None)
        coroutine.close()
        assert current_binding() is None

    asyncio.run(start_and_forget())
