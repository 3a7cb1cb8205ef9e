"""What is so large that no event loop should wait for it to be worked on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

OFFLOAD_ABOVE: Final = 32 * 1024
"""Bytes above which what is slow runs in a worker thread."""
_encoder: Final = msgspec.json.Encoder()


def is_large_body(body: Any) -> bool:
    """Whether a body has about so many bytes on the wire; what is no JSON has none."""
    try:
        return len(_encoder.encode(body)) > OFFLOAD_ABOVE
    except Exception:  # what a middleware or an SDK put there; it is only asked how large it is
        return False


def are_large(chunks: Iterable[bytes]) -> bool:
    """Whether so many bytes have come."""
    return sum(map(len, chunks)) > OFFLOAD_ABOVE


def is_large_metadata(metadata: Any) -> bool:
    """Whether it holds so much text; told without walking all of it, for it may contain itself many times over."""
    size, todo = 0, [metadata]
    while todo and size <= OFFLOAD_ABOVE:
        value = todo.pop()
        size += len(value) if isinstance(value, str | bytes) else 1
        if isinstance(value, dict):
            todo.extend(value)
            todo.extend(value.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)
    return size > OFFLOAD_ABOVE
