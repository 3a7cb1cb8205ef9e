"""One attempt in flight: the draft of one entry, which middlewares read and write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from auditmw.entry import KINDS, Cost, Kind, Status, Usage
from auditmw.errors import ConfigurationError


class Call(msgspec.Struct, kw_only=True, weakref=True, eq=False):
    """One attempt of a call while it runs. Every field here may be read and set by a middleware.

    `request` is the wire body: replace it by a new object to change what is sent; the caller's own is never touched.
    `response` is the provider's answer as JSON data (for a stream: assembled when it has ended), or what an audited
    function returned. `status` is None until the attempt has ended.
    """

    request_id: str
    timestamp_us: int
    call_id: str | None = None
    attempt: int = 0
    parent_id: str | None = None
    kind: Kind = "llm"
    action: str | None = None

    user_id: str | None = None
    subject: str | None = None
    session_id: str | None = None
    client_ip_hash: str | None = None
    tenant: str | None = None
    app: str | None = None
    app_version: str | None = None
    host: str | None = None

    provider: str | None = None
    model: str | None = None
    response_model: str | None = None
    stream: bool | None = None
    stop_reason: str | None = None
    tool_names: list[str] | None = None
    service_tier: str | None = None
    request: Any = None
    response: Any = None

    usage: Usage | None = None
    cost: Cost | None = None
    latency_us: int | None = None
    ttft_us: int | None = None

    params_hash: str | None = None
    system_prompt_hash: str | None = None
    input_hash: str | None = None
    output_hash: str | None = None
    hash_key_id: str | None = None
    sanitization_count: int | None = None
    sanitization: dict[str, int] | None = None
    sanitizer_rules: str | None = None
    purpose: str | None = None
    legal_basis: str | None = None

    status: Status | None = None
    error: BaseException | None = None
    error_type: str | None = None
    error_message: str | None = None
    http_status: int | None = None
    audit_errors: int = 0

    provider_request_id: str | None = None
    response_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)

    parent: Call | None = None
    children: int = 0
    """How many calls inside were recorded as `llm`: tokens and cost are counted there, once."""
    sent_ns: int | None = None
    """Monotonic nanoseconds when all first halves were done and the attempt was sent."""
    ended_ns: int | None = None
    """Monotonic nanoseconds when the attempt ended."""
    first_chunk_ns: int | None = None
    """Monotonic nanoseconds when the first chunk of a stream passed."""
    chunks: list[bytes] = msgspec.field(default_factory=list)
    """The bytes of the provider's answer, kept as they pass and read once, when it has ended."""
    content_type: str | None = None
    content_encoding: str | None = None
    reader: Any = None
    """The provider's reader of this wire format (`auditmw.providers`), or None."""
    chunk_hooks: list[Callable[[Any], Any]] | None = None
    send_hooks: list[Callable[[Call], object]] | None = None
    seal_hooks: list[Callable[[Call], object]] | None = None
    admitted: bool = True
    """Whether room was reserved for its entry; if not, the entry is dropped, and that is counted."""
    position: int | None = None
    """How far the journal, or the sequence, must be safe for this attempt to be; see `durability`."""
    content: bytes | None = None
    """The sealed prompt and answer, where the trail keeps them (`auditmw.privacy.vault`)."""
    run: Any = None
    """The suspended middlewares of this attempt (`auditmw.halves.Run`)."""

    def on_chunk(self, function: Callable[[Any], Any]) -> None:
        """Have `function` see each chunk of a stream, or the whole answer, before the caller does.

        What it returns replaces the chunk; None leaves it as it is. An object whose `rest()` gives what it has held
        back is asked for that when the last chunk has passed.
        """
        self.chunk_hooks = [*(self.chunk_hooks or ()), function]

    def before_send(self, function: Callable[[Call], object]) -> None:
        """Run `function(call)` when all first halves are done, just before the attempt is sent."""
        if self.send_hooks is None:
            self.send_hooks = []
        self.send_hooks.append(function)

    def before_seal(self, function: Callable[[Call], object]) -> None:
        """Run `function(call)` when all second halves are done, before the entry is sealed."""
        self.seal_hooks = [*(self.seal_hooks or ()), function]


SETTABLE: Final = frozenset(Call.__struct_fields__[Call.__struct_fields__.index("call_id") :]) - frozenset(
    Call.__struct_fields__[Call.__struct_fields__.index("parent") :]
) | {"reader"}
"""What may be given when a call is made by hand or a function is decorated."""


def require_fields(fields: dict[str, Any], what: str) -> None:
    """Refuse, where the mistake is made, a field that no call has."""
    if unknown := fields.keys() - SETTABLE:
        raise ConfigurationError(
            f"{what} knows no {', '.join(sorted(unknown))}: a call has {', '.join(sorted(SETTABLE))}"
        )
    if (kind := fields.get("kind")) is not None and kind not in KINDS:
        raise ConfigurationError(f"kind is {kind!r}: use one of {', '.join(KINDS)}")
    if not isinstance(fields.get("metadata") or {}, dict):
        raise ConfigurationError(f"metadata is {fields['metadata']!r}: give a dict")
