"""What OpenAI's two wire formats share: token counts under other names, errors, and what is no parameter."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from auditmw.call import Call
from auditmw.entry import Usage
from auditmw.iterations import count
from auditmw.providers.plain import read_error_basics, read_request_basics, section, text, without

_OWN_MODEL: Final = re.compile(
    r"(openai/|azure/)?(ft:)?(gpt-(?!oss)|chatgpt-|o\d|codex-|computer-use-|text-embedding-)", re.IGNORECASE
)
PERSONAL: Final = frozenset({"metadata", "user", "safety_identifier", "prompt_cache_key"})


def is_own_model(model: str | None) -> bool:
    """Whether a model is one that only OpenAI and Azure serve, by its name."""
    return model is not None and _OWN_MODEL.match(model) is not None


class Names(NamedTuple):
    """The names of one format's counts and their details."""

    input: str
    output: str
    input_details: str
    output_details: str


def read_usage(raw: dict[str, Any], names: Names, *, complete: bool) -> Usage:
    """Disjoint counts: OpenAI counts cached tokens in the prompt too.

    Tokens written to the shorter lived of its two caches (30 minutes) stand with the 5-minute ones, those for 12 hours
    with the 1-hour ones.
    """
    details = section(raw, names.input_details)
    whole, read = count(raw, names.input), count(details, "cached_tokens")
    written = count(details, "cache_write_tokens")
    long = count(section(details, "cache_write_tokens_details"), "ttl_12h_tokens")
    return Usage(
        input_tokens=None if whole is None else max(0, whole - (read or 0) - (written or 0)),
        cache_read_tokens=read,
        cache_write_5m_tokens=None if written is None else max(0, written - (long or 0)),
        cache_write_1h_tokens=long,
        output_tokens=count(raw, names.output) if complete else None,
        thinking_tokens=count(section(raw, names.output_details), "reasoning_tokens"),
        complete=complete,
        raw=raw if complete else without(raw, {names.output}),
    )


def read_request(call: Call, name: str) -> None:
    """Provider, model, stream, and the identifier of the user that was sent along."""
    request = read_request_basics(call, name)
    if identifier := text(request, "safety_identifier"):
        call.metadata["safety_identifier"] = identifier


def read_error(call: Call, body: Any) -> None:
    """The type of an error, or its code where it has none, and its message."""
    error = read_error_basics(call, body)
    if text(error, "type") is None and (code := error.get("code")) is not None:
        call.error_type = str(code)
