"""The keys that sign checkpoints: where they come from, and files that only their owner can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from auditmw.errors import ConfigurationError
from auditmw.log.keys import PRIVATE_PREFIX, Ed25519Signer, Signer, Verifier

VARIABLE: Final = "AUDITMW_SIGNING_KEY"
MEMORY_SUFFIX: Final = ".signed"
FILE_NAME: Final = "signing.key"


class SigningKey(NamedTuple):
    """A signer, and the file of its memory of what it signed; None where there is no directory for one."""

    signer: Signer
    memory: Path | None


def find_signing_key(
    chosen: str | os.PathLike[str] | Signer | None,
    home: Path | None,
    journal_dir: Path | None,
    environment: Mapping[str, str],
) -> SigningKey | None:
    """The trail's signing key: what was chosen, else what AUDITMW_SIGNING_KEY says; each a path, or the key itself.

    Without either it is `signing.key` in `home`, the directory beside a SQLite database, if it is there. Its memory
    lies beside the key's file, or in the journal's directory where that one cannot be written.

    Raises:
        ConfigurationError: it is no key, cannot be read, or others may read it.
    """
    if chosen is None:
        chosen = environment.get(VARIABLE)
    if not chosen and home is not None and (home / FILE_NAME).exists():
        chosen = home / FILE_NAME
    if not chosen:
        return None
    beside = None if journal_dir is None else journal_dir / f"{FILE_NAME}{MEMORY_SUFFIX}"
    if not isinstance(chosen, str | os.PathLike):
        return SigningKey(chosen, beside)
    if isinstance(chosen, str) and chosen.startswith(PRIVATE_PREFIX):
        return SigningKey(Ed25519Signer.from_text(chosen.strip()), beside)
    path = Path(chosen)
    signer = read_signing_key(path)
    if os.access(path.parent, os.W_OK):
        beside = path.with_name(path.name + MEMORY_SUFFIX)
    return SigningKey(signer, beside)


def read_signing_key(path: Path) -> Ed25519Signer:
    """The signing key in a file.

    Raises:
        ConfigurationError: the file cannot be read, is no key, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no signing key at {path}: make one with `auditmw keys init`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the signing key {path} cannot be read ({error}): check path and owner") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"others may read the signing key {path}: run chmod 600 {path}")
    return Ed25519Signer.from_text(text.strip())


def write_signing_key(path: Path, signer: Ed25519Signer) -> None:
    """Write a signing key to a new file of mode 0600.

    Raises:
        ConfigurationError: there is a file already, or it cannot be written.
    """
    if path.exists():
        raise ConfigurationError(f"{path} is there already: keep it, or use `auditmw keys rotate`")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
    try:
        os.write(file, f"{signer.to_text()}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


def read_policy(text: str) -> list[Verifier]:
    """The trusted keys of a policy file: lines `log <key>`, comments after #, and `quorum none` (C2SP tlog-policy).

    Raises:
        ConfigurationError: another line, such as one about witnesses, which are not supported.
    """
    return list(_policy_keys(text.splitlines()))


def _policy_keys(lines: Iterable[str]) -> Iterable[Verifier]:
    for line in lines:
        words = line.partition("#")[0].split()
        if not words or words == ["quorum", "none"]:
            continue
        if words[0] != "log" or len(words) not in {2, 3}:
            raise ConfigurationError(f"{line!r} is not supported in a policy: write `log <key>` for each trusted key")
        yield Verifier.from_text(words[1])
