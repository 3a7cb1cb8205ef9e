"""Readers of providers' wire formats, one format a file. A new one is a file and a line in `READERS`.

An application adds its own with `register`; see docs/providers.md.
"""

from __future__ import annotations

from typing import Any, Final

from auditmw.errors import ConfigurationError
from auditmw.providers.anthropic import AnthropicMessages
from auditmw.providers.openai_chat import OpenAIChat
from auditmw.providers.openai_responses import OpenAIResponses
from auditmw.providers.protocol import Provider

__all__ = ["READERS", "Provider", "for_answer", "for_path", "register"]

READERS: Final[dict[str, Provider]] = {
    "anthropic": AnthropicMessages(),
    "openai_chat": OpenAIChat(),
    "openai_responses": OpenAIResponses(),
}
"""Every reader by the name of its file, an application's own by the name of its class."""


def register(reader: Provider) -> None:
    """Have every trail of this process read one more format; those known already are asked first.

    Raises:
        ConfigurationError: this is no reader; the message names what it lacks.
    """
    wanted = [name for name in vars(Provider) if not name.startswith("_")]
    missing = [name for name in ["name", *wanted] if not hasattr(reader, name)]
    if missing or isinstance(reader, type):
        raise ConfigurationError(
            f"{reader!r} is no reader{f' (it has no {missing[0]})' if missing else ''}: register an instance of a "
            "class that derives from auditmw.providers.Provider"
        )
    READERS[f"{type(reader).__module__}.{type(reader).__qualname__}"] = reader


def for_path(path: str) -> Provider | None:
    """The reader of what is posted to a URL path (query and trailing slash do not matter), or None."""
    path = path.partition("?")[0].rstrip("/")
    return next((reader for reader in READERS.values() if path.endswith(reader.paths)), None)


def for_answer(answer: Any) -> Provider | None:
    """The reader of an answer that a function returned, an SDK's object or a dict of that shape, or None."""
    return next((reader for reader in READERS.values() if reader.matches(answer)), None)
