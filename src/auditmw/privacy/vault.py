"""Prompts and answers under lock: AES-256-GCM, a key for each person and month, wrapped by a key-encryption key.

A prompt is sealed before it reaches the journal, so that it lies nowhere in clear. Its ciphertext is bound to its entry
(the entry's id and the class are associated data): moved to another row it does not open. What destroys the wrapped key
of a person destroys what is under it in every copy.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from auditmw.call import Call
from auditmw.canonical import make_safe
from auditmw.entry import to_datetime
from auditmw.errors import ConfigurationError, EvidenceError
from auditmw.stores.columns import SealedContent
from auditmw.stores.privacy import KeptContent, PrivacyStore

KEY_BYTES: Final = 32
VARIABLE: Final = "AUDITMW_CONTENT_KEY"
FILE_VARIABLE: Final = "AUDITMW_CONTENT_KEY_FILE"
FILE_NAME: Final = "content.key"
_NONCE_BYTES: Final = 12
_KEYS_REMEMBERED: Final = 1024
_PAGE: Final = 500
_CLASS: Final = b"\x00content"
_COMPRESSION: Final = 1

Owner = tuple[str | None, str | None, str | None, str]
"""Tenant, user, subject and month: whose key it is."""


class KeyProvider(Protocol):
    """What wraps data keys: a key of one's own, or an adapter to a KMS. It may be asked from any thread."""

    @property
    def id(self) -> str:
        """The name of the key-encryption key, kept beside what it wrapped; it tells nothing of the key."""

    def wrap(self, key: bytes) -> bytes:
        """A data key, encrypted."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """A data key, decrypted; raises EvidenceError where another key-encryption key wrapped it."""


class LocalKey:
    """A key-encryption key of 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ConfigurationError(f"a content key has {KEY_BYTES} bytes, not {len(secret)}: write 64 hex digits")
        self._cipher = _cipher(secret)
        self.id = sha256(b"auditmw content key\x00" + secret).hexdigest()[:16]

    def wrap(self, key: bytes) -> bytes:
        """A data key, encrypted."""
        return _seal(self._cipher, key, b"auditmw data key")

    def unwrap(self, wrapped: bytes) -> bytes:
        """A data key, decrypted."""
        return _open(self._cipher, wrapped, b"auditmw data key")


class LazyKey:
    """A key that is looked for when it is first needed: making a trail reads nothing."""

    def __init__(self, find: Callable[[], LocalKey]) -> None:
        self._find = find

    @cached_property
    def _key(self) -> LocalKey:
        return self._find()

    @property
    def id(self) -> str:
        """The key's name."""
        return self._key.id

    def wrap(self, key: bytes) -> bytes:
        """A data key, encrypted."""
        return self._key.wrap(key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """A data key, decrypted."""
        return self._key.unwrap(wrapped)


class Vault:
    """Seals the content of one process's calls, and opens what is kept; a middleware.

    `original` keeps prompts as the application made them, with what the sanitizer takes out; by default they are kept
    as they were sent.
    """

    offloads: Final = True

    def __init__(self, provider: KeyProvider, *, original: bool = False) -> None:
        self.provider = provider
        self.original = original
        self.needs_purpose = False
        self._keys: OrderedDict[Owner, tuple[str, bytes, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def around(self, call: Call) -> Generator[None, None, None]:
        """A middleware: seals when all inner second halves are done."""
        original = call.request
        yield
        request = original if self.original else call.request
        if (request is not None or call.response is not None) and (call.purpose or not self.needs_purpose):
            call.content = self.seal(call, {"request": request, "response": call.response})

    def seal(self, call: Call, content: Mapping[str, Any]) -> bytes:
        """Content as the call's entry carries it."""
        key_id, wrapped, cipher = self._key_of(call)
        data = zlib.compress(msgspec.json.encode(make_safe(content)), _COMPRESSION)
        sealed = _seal(cipher, data, _bound_to(call.request_id))
        return SealedContent(key_id, self.provider.id, wrapped, sealed).to_bytes()

    def open(self, content: KeptContent, request_id: str) -> dict[str, Any]:
        """The request and the response of an entry.

        Raises:
            EvidenceError: the key is gone, another key-encryption key wrapped it, or this is not the entry's content.
        """
        if content.wrapped is None or content.wrapped_by is None:
            raise EvidenceError("the key of this content is gone, so nobody can read it any more")
        if content.wrapped_by != self.provider.id:
            raise EvidenceError(f"this content is under key {content.wrapped_by}, and {self.provider.id} was given")
        data = _open(_cipher(self.provider.unwrap(content.wrapped)), content.sealed, _bound_to(request_id))
        opened: dict[str, Any] = msgspec.json.decode(zlib.decompress(data))
        return opened

    def _key_of(self, call: Call) -> tuple[str, bytes, Any]:
        month = to_datetime(call.timestamp_us).strftime("%Y-%m")
        owner = (call.tenant, call.user_id, call.subject, month)
        with self._lock:
            if owner not in self._keys:
                secret = secrets.token_bytes(KEY_BYTES)
                self._keys[owner] = (secrets.token_hex(16), self.provider.wrap(secret), _cipher(secret))
                if len(self._keys) > _KEYS_REMEMBERED:
                    self._keys.popitem(last=False)
            self._keys.move_to_end(owner)
            return self._keys[owner]


def kept_by(vault: Vault | None, pipeline: Sequence[Any]) -> Sequence[Any]:
    """The pipeline with the vault just inside its writer, so that it sees what all others did."""
    return pipeline if vault is None else [*pipeline[:1], vault, *pipeline[1:]]


def rewrap(store: PrivacyStore, old: KeyProvider, new: KeyProvider) -> int:
    """Put every data key under a new key-encryption key; content itself is not touched. Returns how many there were.

    Raises:
        EvidenceError: a key is under neither of the two.
    """
    count, after = 0, ""
    while keys := store.data_keys(after, _PAGE):
        changed = [(key_id, new.id, new.wrap(old.unwrap(wrapped))) for key_id, by, wrapped in keys if by != new.id]
        store.rewrap(changed)
        count += len(changed)
        after = keys[-1][0]
    return count


def find_content_key(home: Path | None, environment: Mapping[str, str], *, make: bool = False) -> LocalKey:
    """The trail's key-encryption key: AUDITMW_CONTENT_KEY (64 hex digits), AUDITMW_CONTENT_KEY_FILE, or one in `home`.

    `make` makes that file where there is none.

    Raises:
        ConfigurationError: there is none, or others may read it.
    """
    if text := environment.get(VARIABLE):
        return LocalKey(_from_hex(text, VARIABLE))
    if name := environment.get(FILE_VARIABLE):
        return read_content_key(Path(name))
    if home is None:
        raise ConfigurationError(f"content needs a key: set {FILE_VARIABLE} to a file of 64 hex digits")
    path = home / FILE_NAME
    if make and not path.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process was faster
            return read_content_key(path)
        with os.fdopen(file, "w") as written:
            written.write(secrets.token_hex(KEY_BYTES) + "\n")
    return read_content_key(path)


def read_content_key(path: Path) -> LocalKey:
    """The key-encryption key in a file of 64 hex digits; raises ConfigurationError where it cannot be used."""
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the content key {path} cannot be read ({error}): check path and owner") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"others may read the content key {path}: run chmod 600 {path}")
    return LocalKey(_from_hex(text, str(path)))


def _bound_to(request_id: str) -> bytes:
    return request_id.encode() + _CLASS


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _seal(cipher: Any, data: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    sealed: bytes = cipher.encrypt(nonce, data, bound_to)
    return nonce + sealed


def _open(cipher: Any, sealed: bytes, bound_to: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        data: bytes = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError) as error:
        raise EvidenceError(
            "this does not open: it was changed, moved from another entry, or the key is wrong"
        ) from error
    return data


def _from_hex(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        raise ConfigurationError(f"{where} holds no key: it must be {KEY_BYTES * 2} hex digits") from None
