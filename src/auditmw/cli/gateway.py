"""`auditmw gateway`: a reverse proxy that records what passes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from auditmw.cli.opening import DatabaseOption
from auditmw.cli.output import say
from auditmw.errors import ConfigurationError
from auditmw.trail import AuditTrail

EXAMPLES: Final = (
    "auditmw gateway --upstream https://api.anthropic.com --db sqlite:///audit.db --port 8080",
    "auditmw gateway --upstream https://api.openai.com --keys keys.txt --port 8081",
    "auditmw gateway --upstream https://api.anthropic.com --user-header X-User --trusted-proxy 10.0.0.0/8",
)


def gateway(
    upstream: Annotated[str, typer.Option("--upstream", metavar="URL", help="The provider's base URL.")],
    db: DatabaseOption = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")] = 8080,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help="Who holds which key: a line each, its SHA-256, then the user."),
    ] = None,
    user_header: Annotated[
        str | None, typer.Option("--user-header", metavar="NAME", help="The header in which a proxy names the user.")
    ] = None,
    session_header: Annotated[
        str | None, typer.Option("--session-header", metavar="NAME", help="The same for the session.")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy", metavar="NETWORK", help="Who may send these headers; loopback by default, '*' is anyone."
        ),
    ] = None,
    grace: Annotated[
        int, typer.Option("--grace", min=0, metavar="SECONDS", help="How long requests may go on after SIGTERM.")
    ] = 30,
) -> None:
    """Pass requests to a provider and record them: a client in any language is audited by changing its base URL.

    Keys pass through and are never stored. It listens on loopback unless told otherwise: it checks nobody's identity,
    the provider does, by the key.
    """
    from auditmw.gateway import application

    if db is None:
        raise ConfigurationError("where to record? Give --db URL, or set AUDITMW_DB")
    app = application.gateway(
        upstream,
        AuditTrail(db),
        user_header=user_header,
        session_header=session_header,
        trusted_proxies=trusted_proxy or application.LOOPBACK,
        key_table=keys,
    )
    say(f"http://{host}:{port} -> {upstream}")
    application.serve(app, host=host, port=port, grace=grace)
