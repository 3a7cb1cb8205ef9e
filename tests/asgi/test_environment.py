"""The middleware by its import path, as servers make it that take middleware as a string."""

import asyncio
from importlib import import_module

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from auditmw import AuditTrail
from auditmw.asgi.environment import trail_from, user_from
from auditmw.errors import ConfigurationError


def middleware_at(path: str):
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def test_by_its_import_path_it_records_the_endpoints_into_the_trail_of_the_environment(
    running, tmp_path, monkeypatch, ask, message
):
    url = f"sqlite:///{tmp_path}/audit.db"
    for name, value in [("DB", url), ("USER_HEADER", "X-User"), ("TRUSTED_PROXIES", "127.0.0.1, ::1")]:
        monkeypatch.setenv(f"AUDITMW_{name}", value)
    app = Starlette(routes=[Route("/v1/messages", lambda request: JSONResponse(message), methods=["POST"])])
    app.add_middleware(middleware_at("auditmw.asgi.AuditMiddleware"))
    with running(app) as server:
        httpx2.post(f"{server}/v1/messages", json=ask, headers={"X-User": "alice"}).raise_for_status()
    with AuditTrail(url) as trail:
        assert [(entry.user_id, entry.output_tokens) for entry in trail.sync.query()] == [("alice", 9)]


def test_without_a_trail_it_says_what_to_set():
    with pytest.raises(ConfigurationError, match="AUDITMW_DB"):
        trail_from({})


def test_a_header_that_nobody_may_set_is_refused():
    with pytest.raises(ConfigurationError, match="AUDITMW_TRUSTED_PROXIES"):
        user_from({"AUDITMW_USER_HEADER": "X-User"})


def test_without_a_header_the_user_is_that_of_the_scope():
    assert user_from({})({"user": "alice"}) == "alice"


def test_the_environment_says_nothing_where_a_trail_is_given(trail, entries, monkeypatch, ask, message):
    monkeypatch.setenv("AUDITMW_USER_HEADER", "X-User")
    app = middleware_at("auditmw.asgi.AuditMiddleware")(JSONResponse(message), trail)

    async def post():
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
            return await client.post("/v1/messages", json=ask)

    assert asyncio.run(post()).json() == message
    assert entries() == []
