"""Puts on record that a command reads, where the trail asks for that; and the options that say who reads, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Annotated, Any

import typer

from auditmw.entry import AuditEntry
from auditmw.errors import AuditError, ConfigurationError, StoreUnavailable
from auditmw.privacy.control import ControlLog
from auditmw.privacy.reads import is_recorded
from auditmw.querying import PAGE, Told, say_nothing
from auditmw.trail import AuditTrail

ActorOption = Annotated[
    str | None, typer.Option("--actor", envvar="AUDITMW_ACTOR", help="Who does this, for the record.")
]
PurposeOption = Annotated[str | None, typer.Option("--purpose", help="What for, for the record.")]
RestrictedOption = Annotated[
    bool,
    typer.Option("--restricted", help="What an erasure wants gone and something keeps, alone; needs a --purpose."),
]


def purpose_of(purpose: str | None, *, restricted: bool) -> str | None:
    """What restricted entries are asked for; None where they are not.

    Raises:
        ConfigurationError: nobody said what for.
    """
    if restricted and not purpose:
        raise ConfigurationError("what for? Restricted entries need a --purpose: it is on record that they were read")
    return purpose if restricted else None


@contextmanager
def on_record(trail: AuditTrail, what: str, *, actor: str | None, **about: Any) -> Iterator[Told]:
    """What is told how many entries are read, before anybody sees them.

    Raises:
        StoreUnavailable: this trail puts such reads on record, and cannot be written from here.
    """
    if not is_recorded(trail.reads().result(), what):
        yield say_nothing
        return
    said = {name: value for name, value in about.items() if value is not None}
    with ExitStack() as around:
        with _needed():
            log = around.enter_context(ControlLog(trail.url, actor=actor))

        def tell(count: int | None) -> None:
            counted: dict[str, Any] = {} if count is None else {"count": count}
            with _needed():
                log.declare("read", what=what, **said, **counted)

        yield tell


@contextmanager
def _needed() -> Iterator[None]:
    """Of a record that cannot be made, and without which nothing is shown."""
    try:
        yield
    except AuditError as error:
        raise StoreUnavailable(
            f"such a read is on record in this trail, and nothing can be written there: {error}. Read as a user who "
            "may write too (audit_reader and audit_writer), or have its owner choose another reads="
        ) from error


def handed_out(entries: Iterator[AuditEntry], told: Told, page_size: int = PAGE) -> Iterator[AuditEntry]:
    """The entries, each page of which is on record before anybody sees it."""
    page = list(islice(entries, page_size))
    told(len(page))
    while page:
        yield from page
        if page := list(islice(entries, page_size)):
            told(len(page))
