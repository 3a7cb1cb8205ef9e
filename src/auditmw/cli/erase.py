"""`auditmw erase`: remove what is held of a person."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from auditmw.cli import FAILED
from auditmw.cli import text as texts
from auditmw.cli.asking import confirm
from auditmw.cli.files import not_written, opened
from auditmw.cli.opening import DatabaseOption, required
from auditmw.cli.output import say
from auditmw.cli.reads import ActorOption
from auditmw.cli.trust import say_if_unsigned
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.person import Person
from auditmw.privacy.receipt import Receipt
from auditmw.stores.privacy import open_privacy

EXAMPLES: Final = (
    "auditmw erase --user alice",
    "auditmw erase --subject patient-17 --tenant acme --receipt receipt.txt --yes",
)


def erase(
    user: Annotated[str | None, typer.Option("--user", help="Whose calls.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Whom the calls are about.")] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="In which tenant; needed where the id occurs in several.")
    ] = None,
    db: DatabaseOption = None,
    actor: ActorOption = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for running processes.")] = 30.0,
    receipt: Annotated[Path | None, typer.Option("--receipt", help="Write the signed receipt to this file.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Erase a person: values and salts go in every copy, and every proof still holds.

    Exit code 0 when all is erased, 2 when a floor, a hold or a running process keeps something, 3 for an unknown
    person, 1 when all is done and the receipt could only be printed. What is kept goes by itself when the
    hold is released, or when `auditmw retain` runs after the floor.
    """
    person = Person.of(user, subject, tenant)
    url = required(db)
    confirm(f"Erase {user or subject} for good?", yes=yes)
    with ExitStack() as around:
        store = open_privacy(url)
        around.callback(store.close)
        file = None if receipt is None else around.enter_context(opened(receipt))
        with ControlLog(url, actor=actor) as log:
            done, signer = Erasure(log, store, wait_seconds=wait).run(person), log.signer
        _show(done)
        if done.answer != "not_found":
            say_if_unsigned("the receipt", signer)
        text = done.to_text(signer)
        if receipt is None or file is None:
            sys.stdout.write(text)
        elif not _written(text, receipt, file):
            return FAILED
    return done.exit_code


def _written(text: str, path: Path, file: BinaryIO) -> bool:
    """Whether the receipt is in its file; else it is printed, as nobody can make it again."""
    try:
        with file:
            if path.is_file():
                file.truncate(0)
            file.write(text.encode())
    except OSError as error:
        sys.stdout.write(text)
        say(f"{not_written(error, path)}. The receipt is printed instead: keep it")
        return False
    say(f"receipt: {path}")
    return True


def _show(done: Receipt) -> None:
    counts = ", ".join(f"{name} of {count}" for name, count in done.classes.items()) or "nothing"
    say(f"{done.answer.replace('_', ' ')}: removed {counts}")
    for reason in done.kept:
        say(f"kept: {texts.printable(reason)}")
    if done.restricted:
        say(f"restricted: {done.restricted:,} entries, shown with --restricted and a --purpose alone")
    if done.answer != "not_found":
        for place in done.left_behind:
            say(f"not reached: {place}")
        for export in done.exports:
            say(f"handed out before: {texts.printable(export)}")
