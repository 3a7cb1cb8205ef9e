"""A dashboard of a trail, to look at in a browser: read-only, server-rendered, without a script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from auditmw.errors import MissingExtra

if TYPE_CHECKING:
    from auditmw.trail import AuditTrail

_PACKAGES = {"starlette", "jinja2", "pygal"}
"""What the extra `dashboard` installs."""


def app(
    trail: AuditTrail,
    *,
    authorize: Callable[[Any], bool | str | Awaitable[bool | str | None] | None] | None = None,
    keys: Sequence[str] = (),
    on_look: Callable[..., object] | None = None,
) -> Any:
    """An ASGI app that shows a trail; serve it, or mount it anywhere: `Mount("/audit", dashboard.app(trail, ...))`.

    Args:
        trail: what is shown; nothing is written to it but what it records itself of being read.
        authorize: asked before anything is served, with the Starlette request; true, or better the name of who looks,
            lets it pass. Without it only browsers on the machine itself are served, and no proxy.
        on_look: puts each look on record instead of the trail: told what is looked at, and `actor`, `page` and so on.
        keys: verification keys that you trust (`name+hash+key`), got out of band.

    Raises:
        MissingExtra: starlette, jinja2 or pygal is not installed.
        ConfigurationError: a key is none.
    """
    try:
        from auditmw.dashboard.application import make_app
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        if package not in _PACKAGES:
            raise
        raise MissingExtra(package, "dashboard") from missing
    return make_app(trail, authorize, keys, on_look)
