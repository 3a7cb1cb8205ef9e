"""The key table: who holds which provider key. It holds digests of keys, never a key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from auditmw.asgi.headers import only_header
from auditmw.asgi.types import Scope, Source
from auditmw.errors import ConfigurationError

_LINE: Final = re.compile(r"([0-9a-fA-F]{64})\s+(\S.*)")


def read_key_table(path: Path) -> dict[str, str]:
    """The table in a file: a line a key, its SHA-256 in hex digits, then who holds it; `#` begins a comment.

    A line is what `printf %s "$KEY" | sha256sum` prints, with the user in place of the `-`.

    Raises:
        ConfigurationError: the file cannot be read, or a line is not of that form.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the key table {path} cannot be read ({error}): check the path") from error
    table: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"line {number} of {path} is no key and user: write the key's SHA-256 in 64 hex digits, a space, and "
                'the user, as in `printf %s "$KEY" | sha256sum`'
            )
        table[match[1].lower()] = match[2]
    return table


def key_holder(table: Mapping[str, str]) -> Source:
    """A source of the user: who holds the key that the request presents, by the table."""

    def from_key(scope: Scope) -> str | None:
        key = presented_key(scope)
        return None if key is None else table.get(hashlib.sha256(key.encode("latin-1")).hexdigest())

    return from_key


def presented_key(scope: Scope) -> str | None:
    """The provider key of a request: `x-api-key`, `api-key` or a bearer token."""
    for name in (b"x-api-key", b"api-key"):
        if key := only_header(scope, name):
            return key
    kind, _, token = (only_header(scope, b"authorization") or "").partition(" ")
    return (token.strip() or None) if kind.lower() == "bearer" else None
