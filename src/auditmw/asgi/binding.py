"""Makes the holder that a request binds: who asks, from where, under which ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from uuid_utils import uuid7

from auditmw.asgi.actor import client_address
from auditmw.asgi.headers import given_request_id, only_header, parse_traceparent
from auditmw.asgi.types import Scope, Source
from auditmw.context import Binding, current_span
from auditmw.diagnostics import report
from auditmw.keys import HashKey

HTTP_REQUEST_ID: Final = "http_request_id"
"""The name under which an entry's metadata holds the id of the HTTP request that it was made in."""


def bind_request(scope: Scope, sources: dict[str, Source], key: HashKey | None) -> Binding:
    """The holder of one request. It inherits nothing: servers run a request in the context of an earlier one.

    `sources` by the name of the field that they fill (`user_id`, `session_id`, `tenant`) are asked whenever a call is
    made, until they give something, since an inner middleware may learn of it late.
    """
    address = client_address(scope)
    trace_id, span_id = current_span() or parse_traceparent(only_header(scope, b"traceparent")) or (None, None)
    return Binding(
        client_ip_hash=None if address is None or key is None else _hash_address(key, address),
        trace_id=trace_id,
        span_id=span_id,
        metadata={HTTP_REQUEST_ID: given_request_id(scope) or str(uuid7())},
        resolve=_resolver(scope, sources),
    )


def _resolver(scope: Scope, sources: dict[str, Source]) -> Callable[[Binding], None]:
    def resolve(binding: Binding) -> None:
        for field, source in sources.items():
            if getattr(binding, field) is None:
                setattr(binding, field, _ask(source, field, scope))

    return resolve


def _ask(source: Source, field: str, scope: Scope) -> str | None:
    try:
        name = source(scope)
    except Exception as error:  # the application's own function: the request goes on without the name
        report("auditmw.source_failed", field=field, error=f"{type(error).__name__}: {error}")
        return None
    return str(name) if name else None


def _hash_address(key: HashKey, address: str) -> str:
    return key.digest_bytes(b"client_ip\x00" + address.encode()).hex()
