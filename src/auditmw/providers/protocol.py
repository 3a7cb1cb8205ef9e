"""What a provider's reader does: one wire format, read for SDK hooks, endpoint auditing and audited functions alike."""

from __future__ import annotations

from typing import Any, Protocol

from auditmw.call import Call
from auditmw.providers.plain import read_error_basics, read_request_basics


class Provider(Protocol):
    """Reads one wire format into a `Call`. Readers are stateless and never raise for what a provider sends.

    An unknown or missing field is left None; what they cannot read they leave alone. A reader that derives from this
    class needs `name`, `matches` and `read_response`; what it leaves out is not read.
    """

    name: str
    """The vendor's name as entries show it, for example `anthropic`."""
    paths: tuple[str, ...] = ()
    """Endings of the URL paths that speak this format, for example `/v1/messages`."""

    def matches(self, answer: Any) -> bool:
        """Whether an object or dict (of an audited function) has the shape of this provider's answer."""

    def read_response(self, call: Call, body: Any) -> None:
        """Set usage, stop reason, ids and served model from a whole answer; sets `call.response` to it."""

    def read_request(self, call: Call) -> None:
        """Set model, stream and what else `call.request` tells before anything is sent."""
        read_request_basics(call, self.name)

    def read_stream(self, call: Call, raw: bytes) -> None:  # noqa: ARG002  (what a reader may read)
        """The same from the raw bytes of a stream, complete or cut; `call.response` becomes the assembled answer.

        Sets `call.status` to `error` if an error event was seen, `success` if the final event was, else leaves it.
        """
        return

    def read_error(self, call: Call, body: Any) -> None:
        """Set error type and message from the body of an HTTP error."""
        read_error_basics(call, body)

    def vendor(self, model: str | None) -> str | None:  # noqa: ARG002  (for formats that many speak)
        """Who made an answer with this model, for what an audited function returned; None if that cannot be told."""
        return self.name

    def system_prompt(self, request: Any) -> Any:  # noqa: ARG002  (as above)
        """The system prompt of a request body, or None."""
        return None

    def input(self, request: Any) -> Any:  # noqa: ARG002  (as above)
        """The messages or input of a request body, as sent, or None."""
        return None

    def params(self, request: Any) -> Any:  # noqa: ARG002  (as above)
        """What is left of a request body: neither system prompt, input, metadata nor credentials."""
        return None

    def output(self, response: Any) -> Any:  # noqa: ARG002  (as above)
        """The final content blocks of an answer, or None."""
        return None
