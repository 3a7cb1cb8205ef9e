"""Who is asking: sources of a request's user, session and tenant."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from auditmw.asgi.headers import only_header
from auditmw.asgi.types import Scope, Source
from auditmw.errors import ConfigurationError


def scope_user(scope: Scope) -> str | None:
    """The user that an authentication middleware has put into `scope["user"]`: its identity, else its display name."""
    user = scope.get("user")
    if user is None or isinstance(user, str):
        return user
    for name in ("identity", "display_name"):
        with suppress(NotImplementedError):  # Starlette's BaseUser leaves them to subclasses
            value = getattr(user, name, None)
            if value:
                return str(value)
    return None


def header(name: str, *, trusted_proxies: Sequence[str]) -> Source:
    """A source that believes a request header, if the peer is a trusted proxy and sent the header exactly once.

    `trusted_proxies` are addresses and networks (`10.0.0.7`, `10.0.0.0/8`), or `"*"` for every peer, where nobody else
    can connect. The peer is `scope["client"]`: a server that rewrites it from `X-Forwarded-For`, as uvicorn does by
    default for loopback peers, must not (`--no-proxy-headers`).

    Raises:
        ConfigurationError: something in `trusted_proxies` is neither.
    """
    if isinstance(trusted_proxies, str):
        raise ConfigurationError(f"trusted_proxies is {trusted_proxies!r}: give a list of addresses or networks")
    anyone = "*" in trusted_proxies
    networks = [_network(text) for text in trusted_proxies if text != "*"]
    key = name.lower().encode("latin-1")

    def from_header(scope: Scope) -> str | None:
        return only_header(scope, key) if anyone or _is_within(scope, networks) else None

    return from_header


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no trusted proxy: write an address, a network or '*'") from None


def _is_within(scope: Scope, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    address = client_address(scope)
    try:
        peer = ip_address(address or "")
    except ValueError:  # a Unix socket, or a test client's name
        return False
    return any(peer in network for network in networks)


def client_address(scope: Scope) -> str | None:
    """The peer's address in one form (an IPv4 address in IPv6 form is taken as IPv4); None for a Unix socket."""
    client = scope.get("client")
    address = client[0] if client else None
    if not address or ":" not in address:
        return address or None
    with suppress(ValueError):
        peer = ip_address(address)
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
            return str(peer.ipv4_mapped)
    return str(address)
