"""Questions, asked only on a terminal."""

from __future__ import annotations

import sys

import typer

from auditmw.errors import ConfigurationError


def confirm(question: str, *, yes: bool) -> None:
    """Go on only when somebody agrees: by `--yes`, or on a terminal.

    Raises:
        ConfigurationError: nobody did.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Nobody is there to answer: give --yes")
    if not typer.confirm(question, err=True):
        raise ConfigurationError("nothing was changed")
