"""What both OpenAI formats share: errors, service tiers, the automatic prompt cache, the choice of a tool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from auditmw.testing.answer import Tool
from auditmw.testing.prompt import Part, count_parts
from auditmw.testing.reply import WireError, encode, event
from auditmw.testing.state import ProviderState

CREATED = 1_767_225_600  # 2026-01-01: the same in every run
_CACHED_FROM_TOKENS = 1024
_CACHE_STEP_TOKENS = 128
_SERVED_TIERS = {"auto": "default", "fast": "priority"}


class OpenAIErrors:
    """Errors as the OpenAI API writes them."""

    def body(self, error_type: str, message: str, request_id: str) -> bytes:  # noqa: ARG002  (only in the headers here)
        """The body of an answer with an HTTP error status."""
        return encode(_error(error_type, message))

    def event(self, error_type: str, message: str, request_id: str) -> bytes:  # noqa: ARG002  (as above)
        """An error in the middle of a stream."""
        return event("error", _error(error_type, message))


def _error(error_type: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": error_type, "param": None, "code": error_type}}


def require(body: Mapping[str, Any], *names: str) -> None:
    """Refuse a request that lacks one of these fields."""
    for name in names:
        if name not in body:
            raise WireError(400, "invalid_request_error", f"Missing required parameter: '{name}'.")


def served_tier(body: Mapping[str, Any]) -> str:
    """The service tier that answers: "auto" and "fast" are served under other names."""
    asked = body.get("service_tier") or "auto"
    return _SERVED_TIERS.get(asked, asked)


def choose_tool(tools: Iterable[Mapping[str, Any]], choice: Any) -> Tool | None:
    """The first function, or the one chosen by name; `tools` and `choice` are without the "function" envelope."""
    if choice == "none":
        return None
    name = choice.get("name") if isinstance(choice, Mapping) else None
    for tool in tools:
        if "name" in tool and name in {None, tool["name"]}:
            return Tool(tool["name"], tool.get("parameters") or {})
    return None


def prompt_tokens(model: str, blocks: Iterable[Any], state: ProviderState) -> tuple[int, int]:
    """All tokens of a prompt, and how many of them came from the cache: whole steps of long prompts only."""
    parts = [Part(block) for block in blocks]
    total = count_parts(parts)
    if total < _CACHED_FROM_TOKENS:
        return total, 0
    read = state.cache.count(model, [Part(part.block, "5m") for part in parts]).read
    cached = read // _CACHE_STEP_TOKENS * _CACHE_STEP_TOKENS
    return total, cached if cached >= _CACHED_FROM_TOKENS else 0
