"""Which requests are calls of an LLM endpoint, and who reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from auditmw.entry import Kind
from auditmw.errors import ConfigurationError
from auditmw.providers import for_path
from auditmw.providers.protocol import Provider

Routes: TypeAlias = Callable[[str], Provider | None]
"""Gives the reader of what is posted to a path, or None where that is not recorded."""
Endpoints: TypeAlias = bool | Sequence[str] | Routes

SERVED: Final = ("/v1/messages", "/v1/chat/completions", "/v1/responses")
"""The endings of the paths that `endpoints=True` records."""


def routes_of(endpoints: Endpoints) -> Routes | None:
    """The routes that `endpoints` chooses; None for False.

    Raises:
        ConfigurationError: a path in the list ends like no format that auditmw reads.
    """
    if callable(endpoints):
        return endpoints
    if isinstance(endpoints, bool):
        return _served if endpoints else None
    if isinstance(endpoints, str):
        raise ConfigurationError(f"endpoints is {endpoints!r}: give a list of paths, True, or a function")
    readers: dict[str, Provider] = {}
    for path in endpoints:
        reader = for_path(path)
        if reader is None:
            raise ConfigurationError(
                f"{path} ends like no format that auditmw reads ({', '.join(SERVED)}): for another one give "
                "endpoints=function, where function(path) returns its reader (auditmw.providers.protocol) or None"
            )
        readers[path.rstrip("/")] = reader
    return lambda path: readers.get(path.rstrip("/"))


def _served(path: str) -> Provider | None:
    return for_path(path) if path.rstrip("/").endswith(SERVED) else None


def kind_of(reader: Provider, path: str) -> Kind:
    """`llm` where something is generated; `request` below an endpoint (token counts, batches) or in no known format."""
    is_below = any(f"{ending}/" in path.rstrip("/") for ending in reader.paths)
    return "request" if is_below or not reader.name else "llm"
