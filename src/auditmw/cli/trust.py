"""The keys that a verifier brings along, as options; and what is said where the trail has no key for them to check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditmw.cli import NotFound
from auditmw.cli.output import say
from auditmw.log.keys import Signer

KeyOption = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="VKEY", help="A verification key that you trust, or a file with one."),
]


def key_text(key: str) -> str:
    """A verification key as it was given, or as the file holds it."""
    return key if "+" in key else text_of(Path(key)).strip()


def text_of(path: Path) -> str:
    """What a file holds.

    Raises:
        NotFound: it cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{path} cannot be read: {error}") from error


def say_if_unsigned(what: str, signer: Signer | None) -> None:
    """Say why there is no signature, lest somebody miss it only when it is to be shown."""
    if signer is None:
        say(f"{what} is not signed: this trail has no signing key; `auditmw keys init` makes one")
