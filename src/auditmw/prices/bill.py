"""What there is to pay for: the counts and modifiers of one answer, read from a call in flight or a stored entry."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from auditmw import iterations
from auditmw.call import Call
from auditmw.entry import AuditEntry, Usage
from auditmw.iterations import Counts, Part

DAY_US: Final = 86_400_000_000
FIRST_HTTP_ERROR: Final = 400
_NO_USAGE: Final = Usage(complete=False)

_CHAT_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")

_PLATFORM_OF_PROVIDER: Final = {
    "aws.bedrock": "aws",
    "gcp.vertex_ai": "google",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
}
_PLATFORM_OF_HOST: Final = (
    ("bedrock", "aws"),
    ("aiplatform.googleapis.com", "google"),
    (".azure.com", "azure"),
)


class Bill(msgspec.Struct, frozen=True, gc=False):
    """One answer, as far as its price goes by it."""

    status: str | None
    http_status: int | None
    provider: str | None
    host: str | None
    model: str | None
    served: str | None
    timestamp_us: int
    service_tier: str | None
    speed: str | None
    place: str | None
    has_usage: bool
    complete: bool
    counts: Counts
    raw: dict[str, Any]

    @property
    def platform(self) -> str | None:
        """Whose price list counts: the cloud that the request went to, else the provider."""
        return platform(self.provider, self.host)

    @property
    def priced_model(self) -> str | None:
        """The model that served, except where only the asked name tells the region that the price goes by."""
        if self.platform == "aws":
            return self.model or self.served
        return self.served or self.model

    @property
    def not_billed(self) -> bool:
        """Whether nothing was generated for sure: not sent, or refused by the provider with an HTTP error."""
        return self.status == "blocked" or (self.http_status is not None and self.http_status >= FIRST_HTTP_ERROR)


def platform(provider: str | None, host: str | None) -> str | None:
    """The platform's name in price lists: `anthropic`, `openai`, `aws`, `google`, `azure`, or the provider as given."""
    for part, name in _PLATFORM_OF_HOST:
        if part in (host or ""):
            return name
    return None if provider is None else _PLATFORM_OF_PROVIDER.get(provider, provider)


def bill_of(source: Call | AuditEntry) -> Bill:
    """The bill of a call that has ended, or of a stored entry: equal for the two."""
    usage: Usage | AuditEntry
    if isinstance(source, Call):
        usage = source.usage or _NO_USAGE
        complete, raw = usage.complete, usage.raw or {}
    else:
        usage = source
        complete, raw = bool(usage.usage_complete), usage.usage_raw or {}
    told_input, told_output = usage.input_tokens, usage.output_tokens
    counts = Counts(
        told_input or 0,
        usage.cache_read_tokens or 0,
        usage.cache_write_5m_tokens or 0,
        usage.cache_write_1h_tokens or 0,
        told_output or 0,
    )
    return Bill(
        source.status,
        source.http_status,
        source.provider,
        source.host,
        source.model,
        source.response_model,
        source.timestamp_us,
        source.service_tier,
        _text(raw, "speed"),
        _text(raw, "inference_geo"),
        told_input is not None or told_output is not None or any(counts),
        complete and told_input is not None and told_output is not None,
        counts,
        raw,
    )


def parts_of(counts: Counts, raw: dict[str, Any] | None) -> list[Part]:
    """The parts that are priced one by one: each iteration where the usage lists them, else the whole."""
    return iterations.parts(raw or {}) or [Part(None, counts)]


def tool_counts(raw: dict[str, Any] | None) -> dict[str, int]:
    """How often tools were used that are billed by use, as Anthropic (`server_tool_use`) or OpenAI tells it."""
    raw = raw or {}
    server, hosted = _section(raw, "server_tool_use"), _section(raw, "tool_usage")
    searches = (iterations.count(server, "web_search_requests") or 0) + (
        iterations.count(_section(hosted, "web_search"), "num_requests") or 0
    )
    return {"web_search": searches} if searches else {}


def unpriced_kinds(raw: dict[str, Any]) -> list[str]:
    """Kinds of use in a usage object that cost more than its token counts show, and that are not priced here."""
    found = []
    if any(iterations.count(_section(raw, name), "audio_tokens") for name in _CHAT_DETAILS):
        found.append("audio")
    images = _section(_section(raw, "tool_usage"), "image_gen")
    if any(value for value in images.values() if type(value) is int):
        found.append("image_generation")
    return found


def is_plain(bill: Bill) -> bool:
    """Whether counts times unit prices is all there is to it: no iterations, tools, or untold cache lifetimes."""
    raw = bill.raw
    return not (
        "iterations" in raw
        or raw.get("server_tool_use")
        or ("tool_usage" in raw and (tool_counts(raw) or unpriced_kinds(raw)))
        or (bill.counts.cache_write_5m and "cache_creation_input_tokens" in raw and not raw.get("cache_creation"))
        or ("prompt_tokens_details" in raw and unpriced_kinds(raw))
    )


def split_is_told(raw: dict[str, Any]) -> bool:
    """Whether the usage tells the lifetimes of what was written to the cache, where it tells of writing at all."""
    return not iterations.count(raw, "cache_creation_input_tokens") or isinstance(raw.get("cache_creation"), dict)


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if type(value) is str else None


def _section(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
