"""Which requests are not passed on for how they are spelled: an upstream could read them otherwise than the record."""

from __future__ import annotations

from typing import Final

from auditmw.asgi.refusals import Refusal
from auditmw.asgi.types import Scope

NO_CAPITALS: Final = Refusal(501, "invalid_request_error", "write the method in capitals, as in POST")


def refusal_of(scope: Scope) -> Refusal | None:
    """Why a request is not passed on; None if it is.

    Methods tell capitals from small letters (RFC 9110, 9.1), but clients, httpx2 among them, send `post` as `POST`.
    """
    method: str = scope["method"]
    return None if method == method.upper() else NO_CAPITALS
