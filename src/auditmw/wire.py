"""JSON as it goes over the wire."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def wire_json(value: Any) -> bytes:
    """Compact JSON; what only the standard library can write (lone surrogates, huge integers) is written by it."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()
