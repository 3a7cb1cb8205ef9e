"""`auditmw dashboard`: the trail in a browser."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Final

import typer

from auditmw.cli.opening import DatabaseOption, reading
from auditmw.cli.output import say
from auditmw.cli.reads import ActorOption, on_record
from auditmw.cli.trust import KeyOption, key_text
from auditmw.errors import ConfigurationError, MissingExtra

EXAMPLES: Final = (
    "auditmw dashboard --db sqlite:///audit.db",
    "auditmw dashboard --port 9000 --key trail.vkey",
)


def dashboard(
    db: DatabaseOption = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0: a free one.")] = 8600,
    host: Annotated[str, typer.Option("--host", help="The loopback address to listen on.")] = "127.0.0.1",
    key: KeyOption = None,
    actor: ActorOption = None,
) -> None:
    """Look at the trail in a browser on this machine: nothing is changed, and nobody else is served.

    Where the trail puts all reads on record, each page that is looked at is.

    For others, mount auditmw.dashboard.app(trail, authorize=...) in an application that knows who they are.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as missing:
        raise MissingExtra("uvicorn", "dashboard") from missing
    from auditmw.dashboard import app

    if not _is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached from elsewhere, and this command asks nobody who they are: use 127.0.0.1, or mount "
            "auditmw.dashboard.app(trail, authorize=...) in an application of yours"
        )
    with reading(db) as trail:

        def on_look(what: str, **about: Any) -> None:
            about["actor"] = actor  # nobody is asked who they are here
            with on_record(trail, what, **about) as told:
                told(None)

        shown = app(trail, keys=[key_text(name) for name in key or ()], on_look=on_look)
        config = uvicorn.Config(
            shown, host=host, port=port, log_level="warning", server_header=False, proxy_headers=False, lifespan="off"
        )
        with config.bind_socket() as listening:
            listening.listen()
            say(f"http://{host}:{listening.getsockname()[1]}/  (Ctrl-C ends it)")
            uvicorn.Server(config).run(sockets=[listening])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
