"""`Proxy`: an ASGI application that passes requests to an upstream and streams both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

import anyio
import httpx2

from auditmw.asgi.headers import has_body
from auditmw.asgi.refusals import Refusal
from auditmw.asgi.types import Receive, Scope, Send
from auditmw.errors import ConfigurationError
from auditmw.gateway.forwarding import request_headers, response_headers
from auditmw.gateway.spelling import refusal_of, sent_path

CONNECT_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 60.0
KEEP_ALIVE_SECONDS: Final = 30.0
KEPT_CONNECTIONS: Final = 256
_TIMEOUT: Final = httpx2.Timeout(None, connect=CONNECT_SECONDS, write=WRITE_SECONDS)
"""How long an answer may take is the client's to say: it leaves, and the upstream request is cancelled."""


class Proxy:
    """A reverse proxy to one upstream. It follows no redirect, keeps no cookie, retries nothing and changes no body.

    What an upstream could read otherwise than the record does is refused (see `auditmw.gateway.spelling`).

    When the client leaves, the upstream request is cancelled. An upstream that cannot be reached is answered with 502,
    or 504 if connecting took too long; one that breaks off in mid-answer breaks the client's connection off too.

    `private_headers` (names) are read here and not passed on.

    Raises:
        ConfigurationError: the upstream is no http or https URL of a host.
    """

    def __init__(self, upstream: str, *, private_headers: Iterable[str] = ()) -> None:
        self._upstream = _checked(upstream)
        self._private = frozenset(name.lower().encode("latin-1") for name in private_headers)
        self._client = httpx2.AsyncClient(
            limits=httpx2.Limits(
                max_connections=None,
                max_keepalive_connections=KEPT_CONNECTIONS,
                keepalive_expiry=KEEP_ALIVE_SECONDS,
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif (refusal := refusal_of(scope)) is not None:
            await refusal.send(send)
        else:
            await self._serve(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._client.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(body.cancel_when_client_leaves, tasks.cancel_scope)
            try:
                await self._relay(self._request(scope, body), send)
            except Exception as error:  # raised below, as itself and not in the task group's
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def _request(self, scope: Scope, body: _Body) -> httpx2.Request:
        path = self._upstream.raw_path.rstrip(b"/") + sent_path(scope)
        query = scope.get("query_string")
        announced = has_body(scope["headers"])
        if not announced:
            body.is_read.set()
        return httpx2.Request(
            scope["method"],
            self._upstream.copy_with(raw_path=path + b"?" + query if query else path),
            headers=request_headers(scope["headers"], self._private),
            content=body.chunks() if announced else None,
            extensions={"timeout": _TIMEOUT.as_dict()},
        )

    async def _relay(self, request: httpx2.Request, send: Send) -> None:
        try:
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except httpx2.ConnectTimeout:
            await _unreachable(504, self._upstream, "it did not accept a connection in time").send(send)
            return
        except httpx2.TransportError as error:
            await _unreachable(502, self._upstream, type(error).__name__).send(send)
            return
        try:
            headers = response_headers(response.headers.raw)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()


class _Body:
    """The request's body on its way to the upstream, and afterwards the news that the client has left."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_read = anyio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, chunk by chunk, as fast as the upstream takes it."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise httpx2.WriteError("the client left before it had sent its request")
            yield message.get("body", b"")
            if not message.get("more_body", False):
                self.is_read.set()
                return

    async def cancel_when_client_leaves(self, scope: anyio.CancelScope) -> None:
        """Cancel the upstream request when the client goes."""
        await self.is_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        scope.cancel()


def _checked(upstream: str) -> httpx2.URL:
    try:
        url = httpx2.URL(upstream)
    except httpx2.InvalidURL as error:
        raise ConfigurationError(f"the upstream {upstream!r} is no URL ({error})") from None
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.userinfo:
        raise ConfigurationError(
            f"the upstream is {upstream!r}: give the provider's base URL, for example https://api.anthropic.com"
        )
    return url


def _unreachable(status: int, upstream: httpx2.URL, reason: str) -> Refusal:
    return Refusal(status, "api_error", f"the gateway cannot reach {upstream.host}: {reason}")
