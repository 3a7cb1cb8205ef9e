"""The keys that a verifier brings along, as options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditmw.cli import NotFound

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
