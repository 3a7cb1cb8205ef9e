"""Which headers a reverse proxy passes on: all but those that belong to one connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from auditmw.asgi.headers import Header

HOP_BY_HOP: Final = frozenset({
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
})  # fmt: skip
_ANSWERED_HERE: Final = frozenset({b"host", b"expect"})


def request_headers(headers: Iterable[Header], private: frozenset[bytes]) -> list[Header]:
    """What goes to the upstream: neither hop-by-hop headers, nor the gateway's own name, nor what is private to it."""
    return _without(headers, _ANSWERED_HERE | private)


def response_headers(headers: Iterable[Header]) -> list[Header]:
    """What goes back to the client."""
    return _without(headers, frozenset())


def _without(headers: Iterable[Header], dropped: frozenset[bytes]) -> list[Header]:
    headers = [(name.lower(), value) for name, value in headers]
    named = (token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b","))
    dropped = dropped | HOP_BY_HOP | frozenset(named)
    return [(name, value) for name, value in headers if name not in dropped]
