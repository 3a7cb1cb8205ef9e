"""Digests of what was sent and received: they show later that a text is the one, and hold none of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from auditmw.call import Call
from auditmw.keys import HashKey
from auditmw.middleware.protocol import Services


class Hasher:
    """Sets the digests: HMAC-SHA-256 under the trail's key over canonical JSON (RFC 8785), as 64 hex digits.

    `system_prompt_hash`, `input_hash` (messages or input) and `params_hash` cover the body as it is sent,
    `output_hash` the final content blocks as they were received, equal streamed or not. Without a key they stay None.
    """

    offloads: Final = True

    def __init__(self) -> None:
        self._services: Services | None = None

    def bind(self, services: Services) -> Hasher:
        """A copy that uses this trail's key."""
        bound = Hasher()
        bound._services = services
        return bound

    def around(self, call: Call) -> Generator[None, None, None]:
        """Digest the request when all first halves are done, the answer when it has ended."""
        key = None if self._services is None else self._services.hash_key
        if key is None:
            yield
            return
        call.before_send(lambda call: digest_request(call, key))
        yield
        if call.hash_key_id is None:  # only the answer of a block or function tells whose format its request has
            digest_request(call, key)
        if call.reader is not None and call.response is not None:
            call.hash_key_id = key.id
            if (output := call.reader.output(call.response)) is not None:
                call.output_hash = key.digest(output)


def digest_request(call: Call, key: HashKey) -> None:
    """Set the digests of the request that is about to be sent."""
    reader, request = call.reader, call.request
    if reader is None or request is None:
        return
    call.hash_key_id = key.id
    if (system := reader.system_prompt(request)) is not None:
        call.system_prompt_hash = key.digest(system)
    if (input_ := reader.input(request)) is not None:
        call.input_hash = key.digest(input_)
    if (params := reader.params(request)) is not None:
        call.params_hash = key.digest(params)
