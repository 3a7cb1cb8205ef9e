"""Opens a trail for reading: nothing is created, no entry is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from auditmw.errors import ConfigurationError
from auditmw.stores import path_of
from auditmw.trail import AuditTrail

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--db",
        envvar="AUDITMW_DB",
        metavar="URL",
        help="The trail: sqlite:///audit.db, postgresql://..., jsonl:///dir.",
    ),
]
_ON_DISK: Final = {"sqlite", "jsonl"}


def required(url: str | None) -> str:
    """The URL that was given.

    Raises:
        ConfigurationError: none was.
    """
    if url is None:
        raise ConfigurationError("which trail? Give --db URL, or set AUDITMW_DB; `auditmw demo` makes one to look at")
    return url


@contextmanager
def reading(url: str | None) -> Iterator[AuditTrail]:
    """A trail that is there already.

    Raises:
        ConfigurationError: no URL was given, or there is nothing at it.
    """
    url = required(url)
    scheme = url.partition("://")[0]
    if scheme == "memory":
        raise ConfigurationError("a trail in memory ends with its process, so no command can read it: name a database")
    if scheme in _ON_DISK and not Path(path_of(url)).exists():
        raise ConfigurationError(f"there is no trail at {Path(path_of(url)).absolute()}: check --db or AUDITMW_DB")
    trail = AuditTrail(url)
    try:
        yield trail
    finally:
        trail.close()
