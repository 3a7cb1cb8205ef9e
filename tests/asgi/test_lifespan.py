import asyncio
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette

from auditmw import AuditError, AuditTrail
from auditmw.asgi import AuditMiddleware


async def run_lifespan(app) -> list[str]:
    """What the server hears while it starts the app and shuts it down."""
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    heard = []

    async def receive():
        return incoming.pop(0)

    async def send(message):
        heard.append(message["type"])

    await app({"type": "lifespan", "state": {}}, receive, send)
    return heard


def app_with(lifespan):
    return Starlette(lifespan=lifespan)


def test_the_trail_is_open_while_the_application_lives_and_drained_when_it_has_ended():
    trail = AuditTrail("memory://")
    states = []

    @asynccontextmanager
    async def lifespan(app):
        states.append(trail.sink.started)
        yield
        states.append(trail.closed)

    heard = asyncio.run(run_lifespan(AuditMiddleware(app_with(lifespan), trail, lifespan=True)))
    assert heard == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert states == [True, False]
    assert trail.closed


def test_a_start_that_fails_closes_the_trail():
    trail = AuditTrail("memory://")

    @asynccontextmanager
    async def lifespan(app):
        raise ValueError("no start")
        yield

    with pytest.raises(ValueError, match="no start"):
        asyncio.run(run_lifespan(AuditMiddleware(app_with(lifespan), trail, lifespan=True)))
    assert trail.closed


def test_a_trail_that_cannot_open_ends_the_start(tmp_path):
    (tmp_path / "file").touch()
    trail = AuditTrail(f"sqlite:///{tmp_path}/file/audit.db")

    @asynccontextmanager
    async def lifespan(app):
        yield

    with pytest.raises(AuditError, match="file"):
        asyncio.run(run_lifespan(AuditMiddleware(app_with(lifespan), trail, lifespan=True)))
    trail.close()


def test_26_the_lifespan_passes_untouched_unless_it_is_asked_for():
    seen = []

    async def app(*arguments):
        seen.append(arguments)

    scope, receive, send = {"type": "lifespan"}, object(), object()
    trail = AuditTrail("memory://")
    asyncio.run(AuditMiddleware(app, trail)(scope, receive, send))
    assert [part is given for part, given in zip(seen[0], (scope, receive, send), strict=True)] == [True] * 3
    assert scope == {"type": "lifespan"}
    assert not trail.sink.started


def test_26_a_websocket_passes_untouched_and_its_calls_are_attributed():
    from auditmw.context import current_binding

    seen = []

    async def app(*arguments):
        seen.append((arguments, current_binding().user_id))

    scope = {"type": "websocket", "path": "/", "headers": []}
    before, receive, send = dict(scope), object(), object()
    audited = AuditMiddleware(app, AuditTrail("memory://"), user=lambda scope: "alice", endpoints=True, lifespan=True)
    asyncio.run(audited(scope, receive, send))
    arguments, user = seen[0]
    assert [part is given for part, given in zip(arguments, (scope, receive, send), strict=True)] == [True] * 3
    assert (scope, user) == (before, "alice")


def test_26_unknown_kinds_of_connection_pass_untouched():
    seen = []

    async def app(*arguments):
        seen.append(arguments)

    scope, receive, send = {"type": "later"}, object(), object()
    asyncio.run(AuditMiddleware(app, AuditTrail("memory://"), lifespan=True)(scope, receive, send))
    assert seen == [(scope, receive, send)]
