"""Readers of providers' wire formats, one format a file. A new one is a file and a line in `READERS`."""

from __future__ import annotations

from typing import Any, Final

from auditmw.providers.anthropic import AnthropicMessages
from auditmw.providers.openai_chat import OpenAIChat
from auditmw.providers.openai_responses import OpenAIResponses
from auditmw.providers.protocol import Provider

READERS: Final[dict[str, Provider]] = {
    "anthropic": AnthropicMessages(),
    "openai_chat": OpenAIChat(),
    "openai_responses": OpenAIResponses(),
}
"""Every reader by the name of its file."""


def for_path(path: str) -> Provider | None:
    """The reader of what is posted to a URL path (query and trailing slash do not matter), or None."""
    path = path.partition("?")[0].rstrip("/")
    return next((reader for reader in READERS.values() if path.endswith(reader.paths)), None)


def for_answer(answer: Any) -> Provider | None:
    """The reader of an answer that a function returned, an SDK's object or a dict of that shape, or None."""
    return next((reader for reader in READERS.values() if reader.matches(answer)), None)
