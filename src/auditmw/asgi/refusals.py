"""Answers to requests that the audit trail does not let through, in the shape of the providers' own errors."""

from __future__ import annotations

from typing import Final

import msgspec

from auditmw.asgi.types import Send


class Refusal(msgspec.Struct, frozen=True):
    """An HTTP error; both vendors' SDKs find type and message in it."""

    status: int
    type: str
    message: str

    async def send(self, send: Send) -> None:
        """Answer with it."""
        error = {"type": self.type, "message": self.message}
        body = msgspec.json.encode({"type": "error", "error": error})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


NO_JSON: Final = Refusal(400, "invalid_request_error", "the body is no JSON, so what it holds cannot be checked")
PACKED: Final = Refusal(415, "invalid_request_error", "send the body without a content-encoding, so it can be checked")


def too_large(cap: int) -> Refusal:
    """The body is larger than what is read ahead."""
    return Refusal(413, "request_too_large", f"the body is larger than the {cap} bytes that are checked before sending")


def blocked(reason: str) -> Refusal:
    """A middleware blocks the call."""
    return Refusal(403, "permission_error", f"the call was blocked and nothing was sent: {reason}")


def unavailable(message: str) -> Refusal:
    """The trail cannot take an entry."""
    return Refusal(503, "api_error", message)
