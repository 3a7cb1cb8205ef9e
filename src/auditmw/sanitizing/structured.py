"""Answers that are asked for as JSON: where a request says so, and where in an answer the JSON stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FORMATS: Final = (("response_format",), ("text", "format"), ("output_config", "format"), ("output_format",))
"""Where OpenAI's chat completions and responses and Anthropic's messages, old and new, name the format of an answer."""
ANSWERS: Final = frozenset({"text", "content", "delta"})
"""The fields in which events of a stream bring parts of an answer's text."""
_TEXTS: Final = frozenset({"text", "output_text", "response.output_text.done"})


def asks_for_json(request: Any) -> bool:
    """Whether the answer's texts are to be JSON."""
    return any(_kind_at(request, path).startswith("json") for path in _FORMATS)


def is_answer(holder: Any, slot: object) -> bool:
    """Whether this place in an answer holds its text: of a message, or of a block in one."""
    if not isinstance(holder, Mapping):
        return False
    return holder.get("type") in _TEXTS if slot == "text" else slot == "content" and "role" in holder


def _kind_at(value: Any, path: tuple[str, ...]) -> str:
    for field in (*path, "type"):
        value = value.get(field) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
