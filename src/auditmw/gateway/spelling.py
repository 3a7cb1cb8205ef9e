"""Which requests are not passed on for how they are spelled: an upstream could read them otherwise than the record."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from auditmw.asgi.headers import sends_content
from auditmw.asgi.refusals import Refusal
from auditmw.asgi.types import Scope

NO_CAPITALS: Final = Refusal(501, "invalid_request_error", "write the method in capitals, as in POST")
TWO_READINGS: Final = Refusal(
    400,
    "invalid_request_error",
    "write the path so that it can be read in one way: from / on, without . and .. and empty segments, backslash and #",
)
_DOTS: Final = frozenset({".", ".."})
_KEPT: Final = "/:@!$&'()*+,;="
"""What a path holds unencoded, beside letters, digits and `-._~` (RFC 3986, 3.3)."""


def refusal_of(scope: Scope) -> Refusal | None:
    """Why a request is not passed on; None if it is.

    Methods tell capitals from small letters (RFC 9110, 9.1), but clients, httpx2 among them, send `post` as `POST`.
    They also resolve dot segments, and upstreams do that, decode and merge slashes before they choose an endpoint.
    """
    method: str = scope["method"]
    if method != method.upper():
        return NO_CAPITALS
    return None if _has_one_reading(scope) else TWO_READINGS


def sent_path(scope: Scope) -> bytes:
    """The path as the client sent it; encoded again where the server gives it decoded only."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"], safe=_KEPT).encode()
    return raw


def _has_one_reading(scope: Scope) -> bool:
    """Whether everybody on the way finds the same segments; what sends nothing may name a file by its URL (`gs://`)."""
    sent = sent_path(scope)
    path = unquote(sent.decode("latin-1"))
    if not sent.startswith(b"/") or b"#" in sent or "\\" in path or not _DOTS.isdisjoint(path.split("/")):
        return False
    return "//" not in path or not sends_content(scope)
