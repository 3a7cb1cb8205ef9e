"""What of a request is never read or changed: it is signed, encrypted, a picture, or a credential meant to be sent."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, Final

SIGNED: Final = frozenset({"thinking", "redacted_thinking", "reasoning"})
"""Types of blocks that a provider refuses when they come back changed."""
FREE: Final = frozenset({"input", "input_schema", "parameters", "metadata", "arguments"})
"""Fields whose content is the application's own: nothing in them is left out."""
_BINARY_FIELDS: Final = frozenset({"data", "url", "image_url", "file_data"})
_MAGIC: Final = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "JVBERi0", "SUQz", "//v", "//u")
"""How PNG, JPEG, GIF, WebP or WAV, PDF and MP3 begin in Base64: what only claims to be one is read as text."""
_MEDIA: Final = ("image/", "application/pdf", "audio/", "video/")
_BASE64: Final = string.ascii_letters.encode() + string.digits.encode() + b"+/=\r\n"


def is_untouched(owner: Mapping[Any, Any], field: object, value: object) -> bool:
    """Whether this value of a block is a text that is encrypted, or the Base64 of a picture, sound or PDF."""
    if type(value) is not str:
        return False
    if field in _BINARY_FIELDS:
        return owner.get("type") != "text" and _is_binary(value)
    return isinstance(field, str) and field.startswith("encrypted_")


def is_credential(owner: Mapping[Any, Any], field: object) -> bool:
    """Whether the field is a credential that the provider needs as it is: it is shown to an MCP server, not a model."""
    if field == "authorization_token":
        return owner.get("type") == "url" and "url" in owner
    return field in {"authorization", "headers"} and owner.get("type") == "mcp" and "server_label" in owner


def _is_binary(value: str) -> bool:
    if value.startswith("data:"):
        declared, marked, content = value[5:].partition(";base64,")
        return bool(marked) and declared.startswith(_MEDIA) and _is_base64(content)
    return _is_base64(value)


def _is_base64(content: str) -> bool:
    """Whether it begins like a picture, sound or PDF and goes on in Base64: `//v` begins many a comment too."""
    return content.startswith(_MAGIC) and content.isascii() and not content.encode().translate(None, _BASE64)
