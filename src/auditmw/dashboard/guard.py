"""Who may look, and the headers that every answer carries. Whatever is inside, nothing gets around this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Authorize = Callable[[Request], bool | str | Awaitable[bool | str | None] | None]

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_RAW: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_OVERRIDDEN: Final = {name for name, _ in _RAW}
_LOCAL_NAMES: Final = {"localhost", "127.0.0.1", "::1"}
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "via")


class Guard:
    """Lets in whom `authorize` lets in; without it, only a browser on this machine that asks it by a local name."""

    def __init__(self, app: ASGIApp, authorize: Authorize | None) -> None:
        self._app = app
        self._authorize = authorize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in _OVERRIDDEN]
                message = {**message, "headers": [*own, *_RAW]}
            await send(message)

        request = Request(scope)
        if refusal := await self._refusal(request):
            await refusal(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)

    async def _refusal(self, request: Request) -> PlainTextResponse | None:
        if request.method not in {"GET", "HEAD"}:
            return PlainTextResponse("the dashboard only shows\n", 405, {"allow": "GET, HEAD"})
        if self._authorize is None:
            if is_local(request):
                return None
            return PlainTextResponse(
                "the dashboard is served on this machine only: give it authorize= to serve it further\n", 403
            )
        allowed = self._authorize(request)
        if isawaitable(allowed):
            allowed = await allowed
        if not allowed:
            return PlainTextResponse("you may not see this trail\n", 403)
        request.state.looker = allowed if isinstance(allowed, str) else None
        return None


def is_local(request: Request) -> bool:
    """Whether a browser on this machine asks a loopback address for a local name, with no proxy between.

    The name matters: a page from elsewhere can make its own name point here, and would read along.
    """
    addresses = (request.scope.get("server"), request.scope.get("client"))
    if not all(address and _is_loopback(str(address[0])) for address in addresses):
        return False
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname in _LOCAL_NAMES
    except ValueError:
        return False


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
