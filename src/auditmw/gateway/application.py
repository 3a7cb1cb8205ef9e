"""The gateway: the proxy under the audit middleware, and the server that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from auditmw.asgi import AuditMiddleware, header
from auditmw.asgi.endpoint import MAX_BODY
from auditmw.asgi.types import Scope, Source
from auditmw.errors import MissingExtra
from auditmw.gateway.keys import key_holder, read_key_table
from auditmw.gateway.routes import recorded
from auditmw.trail import AuditTrail

LOOPBACK: Final = ("127.0.0.0/8", "::1")
KEEP_ALIVE_SECONDS: Final = 75


def gateway(
    upstream: str,
    trail: AuditTrail,
    *,
    user_header: str | None = None,
    session_header: str | None = None,
    trusted_proxies: Sequence[str] = LOOPBACK,
    key_table: Path | None = None,
    max_body: int = MAX_BODY,
) -> AuditMiddleware:
    """An ASGI application that passes requests to `upstream` and records all that are posted or have a body.

    The user is named by `user_header`, else by the key that is presented (see `auditmw.gateway.keys`). The headers that
    name user and session are believed of trusted proxies only, and are not passed on. The trail is opened and closed
    with the application.

    Raises:
        ConfigurationError: the upstream, a proxy or the key table is not usable.
        MissingExtra: httpx2 is not installed.
    """
    try:
        from auditmw.gateway.proxy import Proxy
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "httpx2", "gateway") from error
    users: list[Source] = []
    if user_header is not None:
        users.append(header(user_header, trusted_proxies=trusted_proxies))
    if key_table is not None:
        users.append(key_holder(read_key_table(key_table)))

    def user(scope: Scope) -> str | None:
        return next((name for source in users if (name := source(scope))), None)

    return AuditMiddleware(
        Proxy(upstream, private_headers=[name for name in (user_header, session_header) if name is not None]),
        trail=trail,
        user=user,
        session=None if session_header is None else header(session_header, trusted_proxies=trusted_proxies),
        endpoints=recorded,
        max_body=max_body,
        lifespan=True,
    )


def serve(application: AuditMiddleware, *, host: str, port: int, grace: int) -> None:
    """Serve it until SIGINT or SIGTERM; requests in flight then have `grace` seconds to end.

    Raises:
        MissingExtra: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise MissingExtra("uvicorn", "gateway") from error
    app: Any = application
    uvicorn.run(
        app,
        host=host,
        port=port,
        lifespan="on",
        ws="none",
        proxy_headers=False,  # the peer itself is what decides whether a header is believed
        server_header=False,
        date_header=False,  # the upstream's pass
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace,
    )
