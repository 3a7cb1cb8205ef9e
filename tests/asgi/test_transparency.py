"""The same requests with and without the middleware, byte by byte, in a real server."""

import asyncio
import re
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from auditmw import AuditTrail
from auditmw.asgi import AuditMiddleware
from auditmw.testing import StandInProvider

ID_LINE = re.compile(rb"x-request-id: [^\r]+\r\n")
LLM = "/v1/messages"


class Apps:
    """A table of small apps; what they do besides answering is noted in `events`."""

    def __init__(self, file: Path) -> None:
        self.events: list[str] = []
        self.arrived = threading.Event()
        self.file = file

    async def plain(self, request):
        return Response(b"text", media_type="text/plain", headers={"x-own": "1"})

    async def echo(self, request):
        return Response(await request.body())

    async def unread_body(self, request):
        return JSONResponse({"refused": True}, 401)

    async def cookies(self, request):
        response = RedirectResponse("/elsewhere")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async def broken(self, request):
        raise ValueError("broken")

    async def refused(self, request):
        raise HTTPException(418, "teapot", {"x-why": "tea"})

    async def empty(self, request):
        return Response(status_code=204)

    async def streamed(self, request):
        async def pieces():
            for number in range(5):
                yield f"data: {number}\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def broken_in_mid_stream(self, request):
        async def pieces():
            yield "first"
            raise ValueError("broken")

        return StreamingResponse(pieces())

    async def sent_file(self, request):
        return FileResponse(self.file)

    async def background(self, request):
        tasks = BackgroundTasks()
        tasks.add_task(self.note, "background")
        tasks.add_task(self.note_async, "async background")
        return Response(b"done", background=tasks)

    async def note_async(self, event):
        self.events.append(event)

    def note(self, event):
        self.events.append(event)

    async def left(self, request):
        """A client leaves in the middle of this stream."""

        async def pieces():
            try:
                yield "first"
                await asyncio.Event().wait()
            except BaseException as error:
                self.note(type(error).__name__)
                raise

        return StreamingResponse(pieces(), background=BackgroundTask(self.note, "background"))

    async def left_early(self, request):
        """A client leaves before this answers."""
        self.arrived.set()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.note(f"disconnected: {await request.is_disconnected()}")
        return Response()


CASES = {
    "plain": b"",
    "echo": b'{"model": "m" ,"x":"' + b"x" * 400_000 + b'"}',
    "unread_body": b'{"messages": []}',
    "cookies": b"",
    "broken": b"",
    "refused": b"",
    "empty": b"",
    "streamed": b"",
    "broken_in_mid_stream": b"",
    "sent_file": b"",
}
BODY = b'{"model": "m", "messages": []}'


@pytest.fixture
def trail(sanitizing_trail):
    """The default pipeline does most with what passes."""
    return sanitizing_trail


@pytest.fixture
def apps(tmp_path):
    file = tmp_path / "file.txt"
    file.write_bytes(b"0123456789" * 20_000)
    return Apps(file)


def serve(apps, name, path, *, audited_by=None, endpoints=False):
    app = Starlette(routes=[Route(path, getattr(apps, name), methods=["GET", "POST", "HEAD"])])
    if audited_by is not None:
        app.add_middleware(AuditMiddleware, trail=audited_by, endpoints=endpoints)
    return app


def raw_request(method, path, body, *headers):
    head = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def exchange(url, request, *, leave_after=None):
    """Send bytes and read all that comes back, or leave as soon as these bytes were seen."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while leave_after is None or leave_after not in received:
            chunk = connection.recv(65536)
            if not chunk:
                return received
            received += chunk
    return received


@pytest.fixture(scope="module")
def servers(tmp_path_factory, running):
    """The same apps twice, each at `/<name>` and `/<name>/v1/messages`: without and with the middleware."""
    file = tmp_path_factory.mktemp("apps") / "file.txt"
    file.write_bytes(b"0123456789" * 20_000)
    apps = Apps(file)
    paths = [(name, path) for name in CASES for path in (f"/{name}", f"/{name}{LLM}")]
    routes = [Route(path, getattr(apps, name), methods=["GET", "POST", "HEAD"]) for name, path in paths]
    with AuditTrail("memory://") as trail:
        bare, audited = Starlette(routes=routes), Starlette(routes=routes)
        audited.add_middleware(AuditMiddleware, trail=trail, endpoints=True)
        with running(bare) as url, running(audited) as audited_url:
            yield url, audited_url


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("path", ["", LLM])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_26_responses_are_the_same_with_and_without(servers, caplog, name, path, method):
    request = raw_request(method, f"/{name}{path}", CASES[name] if method == "POST" else b"")
    without, with_it = (exchange(url, request) for url in servers)
    without_id = ID_LINE.sub(b"", with_it, count=1)
    assert without_id == without
    assert (without_id == with_it) is (name == "broken")  # there it is Starlette, outside of it, that answers


@pytest.mark.parametrize("path", ["/", LLM])
def test_26_background_tasks_run_alike_with_and_without(running, apps, trail, path):
    seen = []
    for options in ({}, {"audited_by": trail, "endpoints": True}):
        with running(serve(apps, "background", path, **options)) as url:
            answer = exchange(url, raw_request("POST", path, BODY))
        seen.append((ID_LINE.sub(b"", answer), list(apps.events)))
        apps.events.clear()
    assert seen[0] == seen[1]
    assert seen[0][1] == ["background", "async background"]


@pytest.mark.parametrize("wanted", ["bytes=5-9", "bytes=0-4,100-104", "bytes=900000-"])
def test_26_a_part_of_a_file_is_the_same_with_and_without(running, apps, trail, wanted):
    request = raw_request("GET", "/", b"", f"Range: {wanted}")
    answers = []
    for audited_by in (None, trail):
        with running(serve(apps, "sent_file", "/", audited_by=audited_by)) as url:
            answers.append(ID_LINE.sub(b"", exchange(url, request)))
    boundary = re.compile(rb"[0-9a-f]{26,32}")
    assert boundary.sub(b"", answers[0]) == boundary.sub(b"", answers[1])


@pytest.mark.parametrize("path", ["/", LLM])
def test_26_a_client_that_leaves_has_the_same_effect_with_and_without(running, apps, trail, path):
    seen = []
    for audited_by in (None, trail):
        with running(serve(apps, "left", path, audited_by=audited_by, endpoints=True)) as url:
            received = exchange(url, raw_request("POST", path, BODY), leave_after=b"first")
        seen.append((ID_LINE.sub(b"", received), list(apps.events)))
        apps.events.clear()
    assert seen[0] == seen[1]
    assert seen[0][1] == ["CancelledError", "background"]


@pytest.mark.parametrize("path", ["/", LLM])
def test_26_a_client_that_leaves_before_the_answer_is_noticed_alike(running, apps, trail, path):
    seen = []
    for options in ({}, {"audited_by": trail, "endpoints": True}):
        with running(serve(apps, "left_early", path, **options)) as url:
            parts = urlsplit(url)
            with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
                connection.sendall(raw_request("POST", path, BODY))
                assert apps.arrived.wait(10)
            apps.arrived.clear()
        seen.append(list(apps.events))
        apps.events.clear()
    assert seen == [["disconnected: True"]] * 2


def test_26_websockets_are_the_same_with_and_without(trail):
    async def talk(websocket):
        await websocket.accept("v1", [(b"x-own", b"1")])
        await websocket.send_text(f"hello {await websocket.receive_text()}")
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.close(3001, "enough")

    heard = []
    for audited in (False, True):
        app = Starlette(routes=[WebSocketRoute("/", talk)])
        if audited:
            app.add_middleware(AuditMiddleware, trail=trail, endpoints=True)
        with TestClient(app) as client, client.websocket_connect("/", subprotocols=["v1"]) as websocket:
            websocket.send_text("you")
            websocket.send_bytes(b"\x00\xff")
            heard.append(
                (websocket.accepted_subprotocol, websocket.extra_headers, [websocket.receive() for _ in range(3)])
            )
    assert heard[0] == heard[1]


def test_26_an_app_without_an_answer_fails_alike(running, trail, caplog):
    async def silent(scope, receive, send):
        pass

    answers = []
    for app in (silent, AuditMiddleware(silent, trail, endpoints=True)):
        with running(app, lifespan="off") as url:
            answers.append(exchange(url, raw_request("POST", LLM, BODY)))
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 500")


def test_20_the_request_to_the_provider_is_byte_identical_with_auditing_on_and_off(running, trail, ask):
    import anthropic

    bodies = []
    with StandInProvider() as provider:
        for wrap in (lambda client: client, trail.wrap):
            with wrap(anthropic.Anthropic(api_key="test", base_url=provider.url)) as client:
                client.messages.create(**ask, system="grüß dich\n\u2028", extra_body={"later_field": [1, None, 0.5]})
        bodies = [request.body for request in provider.requests]
    assert bodies[0] == bodies[1]


def test_20_the_request_that_an_app_receives_is_byte_identical_with_auditing_on_and_off(running, trail):
    seen = []

    async def app(scope, receive, send):
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        seen.append((b"".join(message["body"] for message in messages), scope["headers"], scope["raw_path"]))
        await Response()(scope, receive, send)

    request = raw_request(
        "POST", f"{LLM}?a=%20b", b'{ "odd" :\t[1.50, 1e3] , "odd": "\\u00e9" }', "X-Twice: 1", "X-Twice: 2"
    )
    for served in (app, AuditMiddleware(app, trail, endpoints=True)):
        with running(served, lifespan="off") as url:
            exchange(url, request)
    assert seen[0] == seen[1]


def test_a_client_that_waits_before_it_sends_its_body_is_told_to_go_on(running, apps, trail):
    heard = []
    for options in ({}, {"audited_by": trail, "endpoints": True}):
        with running(serve(apps, "echo", LLM, **options)) as url:
            parts = urlsplit(url)
            head = raw_request("POST", LLM, BODY, "Expect: 100-continue").removesuffix(BODY)
            with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
                connection.sendall(head)
                first = connection.recv(65536)
                connection.sendall(BODY)
                rest = b"".join(iter(lambda: connection.recv(65536), b""))
        heard.append((first, ID_LINE.sub(b"", rest)))
    assert heard[0] == heard[1]
    assert heard[0][0].startswith(b"HTTP/1.1 100")
