"""`AuditMiddleware`: gives every call made in a request its user, session and ids, and may record served endpoints."""

from __future__ import annotations

import inspect
import os
from functools import cached_property
from typing import Final

from auditmw.asgi.actor import scope_user
from auditmw.asgi.binding import HTTP_REQUEST_ID, bind_request
from auditmw.asgi.endpoint import MAX_BODY, EndpointRecorder
from auditmw.asgi.environment import trail_from, user_from
from auditmw.asgi.headers import REQUEST_ID, sends_content
from auditmw.asgi.lifespan import run_lifespan
from auditmw.asgi.routes import Endpoints, routes_of
from auditmw.asgi.types import App, Message, Receive, Scope, Send, Source
from auditmw.context import Binding, within
from auditmw.diagnostics import report
from auditmw.errors import AuditError, ConfigurationError
from auditmw.keys import HashKey
from auditmw.trail import AuditTrail

_BOUND: Final = {"http", "websocket"}


class AuditMiddleware:
    """Pure ASGI middleware: `app.add_middleware(AuditMiddleware, trail=trail)`, or `AuditMiddleware(app, trail=trail)`.

    Every LLM call made while a request runs, in whatever task, thread, streaming body or background task, is recorded
    with the request's user, session, tenant, trace and client. The answer gets an `X-Request-ID`, the client's own if
    that is well formed, unless the application sets one; entries hold it in their metadata as `http_request_id`.

    - `user`, `session`, `tenant`: functions that take the ASGI scope and return a name, None or an empty text where
      there is none. They are asked when a call is made, so what an inner middleware puts into the scope counts. The
      user is that of `scope["user"]` by default; see `header` for one that a proxy sends.
    - `endpoints`: record what the application itself serves, an entry a request that is posted or has a body. True:
      `/v1/messages`, `/v1/chat/completions` and `/v1/responses`, under whatever prefix; a list: these paths; a
      function: the reader of a path, or None.
    - `max_body`: bytes of a request, and of an answer, that are kept to be read.
    - `lifespan`: open the trail before the application starts, and drain and close it when it has ended.

    Without a trail, as a server makes it that takes middleware by import path, `AUDITMW_DB` names the trail, and
    `AUDITMW_USER_HEADER` with `AUDITMW_TRUSTED_PROXIES` the user; endpoints are recorded then and the lifespan is used.

    Raises:
        ConfigurationError: an option is not usable, or there is no trail; the message says what would be.
    """

    def __init__(
        self,
        app: App,
        trail: AuditTrail | None = None,
        *,
        user: Source | None = None,
        session: Source | None = None,
        tenant: Source | None = None,
        endpoints: Endpoints | None = None,
        max_body: int = MAX_BODY,
        lifespan: bool | None = None,
    ) -> None:
        from_environment = trail is None
        self._app = app
        self._trail = trail_from(os.environ) if trail is None else trail
        default = user_from(os.environ) if from_environment else scope_user
        named = {"user_id": user or default, "session_id": session, "tenant": tenant}
        self._sources = {field: _checked(field, source) for field, source in named.items() if source is not None}
        self._routes = routes_of(from_environment if endpoints is None else endpoints)
        self._endpoint = EndpointRecorder(self._trail.recorder(), max_body)
        self._lifespan = from_environment if lifespan is None else lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; whatever the application raises goes on unchanged."""
        if scope["type"] == "lifespan" and self._lifespan:
            await run_lifespan(self._trail, self._app, scope, receive, send)
        elif scope["type"] not in _BOUND:
            await self._app(scope, receive, send)
        else:
            binding = bind_request(scope, self._sources, self._key)
            await within(binding, self._serve(binding, scope, receive, send))

    async def _serve(self, binding: Binding, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        send = _with_request_id(send, (binding.metadata or {})[HTTP_REQUEST_ID].encode())
        reader = self._routes(scope["path"]) if self._routes is not None and sends_content(scope) else None
        if reader is None:
            await self._app(scope, receive, send)
        else:
            await self._endpoint.serve(reader, self._app, scope, receive, send)

    @cached_property
    def _key(self) -> HashKey | None:
        try:
            return self._trail.hash_key
        except AuditError as error:  # no reason to refuse a request
            report("auditmw.no_key", error=str(error), meaning="the hashes of client addresses stay null")
            return None


def _checked(field: str, source: Source) -> Source:
    if not callable(source) or inspect.iscoroutinefunction(source):
        raise ConfigurationError(f"the source of {field} is {source!r}: give a plain function that takes the scope")
    return source


def _with_request_id(send: Send, request_id: bytes) -> Send:
    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if all(name.lower() != REQUEST_ID for name, _ in headers):
                message = {**message, "headers": [*headers, (REQUEST_ID, request_id)]}
        await send(message)

    return send_with_id
