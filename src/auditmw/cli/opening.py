"""Opens a trail for reading: nothing is created, no entry is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from auditmw.errors import ConfigurationError, SchemaMismatch
from auditmw.stores import path_of
from auditmw.stores.privacy import has_privacy, open_privacy
from auditmw.stores.sqlite_connection import holds_only_others, no_trail
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


def require_trail(url: str) -> None:
    """Refuse to make a trail where a command is to change one that is there.

    Raises:
        ConfigurationError: there is none.
    """
    if has_privacy(url):
        with suppress(SchemaMismatch):  # what changes a trail brings its schema up to date
            open_privacy(url).close()


def require_no_other(url: str) -> None:
    """Refuse to make a trail unasked in a file of another application; one that records there makes its own.

    Raises:
        ConfigurationError: the SQLite file holds tables, and no trail among them.
    """
    if url.partition("://")[0] == "sqlite" and holds_only_others(path := path_of(url)):
        raise ConfigurationError(f"{no_trail(path)}. It is another application's, which makes a trail when it records")


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
