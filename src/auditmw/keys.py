"""The key of the content digests: where it comes from, and how it digests."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from auditmw.canonical import canonical_json
from auditmw.diagnostics import report
from auditmw.errors import ConfigurationError

KEY_BYTES: Final = 32
BLOCK_BYTES: Final = 64
_FORM: Final = f"{KEY_BYTES * 2} hex digits, for instance from `openssl rand -hex {KEY_BYTES}`"


class HashKey:
    """A secret of 32 bytes. Whoever has it can test guesses of a short prompt against a digest: keep it apart."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ConfigurationError(f"the digest key has {len(secret)} bytes, not {KEY_BYTES}: give {_FORM}")
        # HMAC (RFC 2104) from two states that are copied: an HMAC object made anew for each digest costs twice as much
        block = secret.ljust(BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self.id: str = hashlib.sha256(b"auditmw hash key\x00" + secret).hexdigest()[:16]
        """The fingerprint that entries carry; it tells nothing of the key."""

    def digest(self, value: Any) -> str:
        """HMAC-SHA-256 over the canonical JSON of `value`, 64 hex digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(canonical_json(value))
        outer.update(inner.digest())
        return outer.hexdigest()

    def digest_bytes(self, data: bytes) -> bytes:
        """HMAC-SHA-256 over bytes, 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


def find_key(
    key_file: str | os.PathLike[str] | None, home: Path | None, environment: Mapping[str, str]
) -> HashKey | None:
    """The trail's key: `key_file`, AUDITMW_KEY (64 hex digits), AUDITMW_KEY_FILE, else a file in `home`.

    `home` is the directory beside a SQLite database; None elsewhere, and then no key is made and digests stay null.
    """
    if key_file is not None:
        return read_key(Path(key_file))
    if text := environment.get("AUDITMW_KEY"):
        return HashKey(_from_hex(text, "AUDITMW_KEY"))
    if name := environment.get("AUDITMW_KEY_FILE"):
        return read_key(Path(name))
    if home is None:
        report(
            "auditmw.no_key",
            "warning",
            meaning="content digests stay null: set AUDITMW_KEY or AUDITMW_KEY_FILE to have them",
        )
        return None
    path = home / "hash.key"
    return read_key(path) if path.exists() else make_key(path)


def read_key(path: Path) -> HashKey:
    """The key in a file of 64 hex digits.

    Raises:
        ConfigurationError: the file cannot be read, is no key, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the key file {path} cannot be read ({error}): check the path and its owner"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"others may read the key file {path}: run chmod 600 {path}")
    return HashKey(_from_hex(text, str(path)))


def make_key(path: Path) -> HashKey:
    """Make a key in a new file of mode 0600; a key that another process made first is used."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = secrets.token_bytes(KEY_BYTES)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secret.hex().encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return read_key(path)
    finally:
        temporary.unlink()
    report(
        "auditmw.key_created",
        "warning",
        path=str(path),
        meaning="digests of prompts and answers are made with this key; who has it can test guesses against them, and "
        "without it a text cannot be shown to be the one. Back it up apart from the database.",
    )
    return HashKey(secret)


def _from_hex(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        raise ConfigurationError(f"{where} holds no key: it must be {_FORM}") from None
