"""`auditmw keys`: make, show and rotate the key that signs a trail's checkpoints."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from auditmw.cli import DONE, FAILED
from auditmw.cli.opening import DatabaseOption, require_no_other, require_trail, required
from auditmw.cli.output import say
from auditmw.errors import ConfigurationError
from auditmw.locations import home_of, key_directory
from auditmw.log.keys import PRIVATE_PREFIX, Ed25519Signer
from auditmw.privacy.changes import change_content_key
from auditmw.privacy.control import ControlLog
from auditmw.privacy.vault import read_content_key
from auditmw.rotation import Rotation
from auditmw.signing_keys import FILE_NAME, VARIABLE, read_signing_key, write_signing_key
from auditmw.stores import store_for
from auditmw.stores.privacy import open_privacy

EXAMPLES: Final = (
    "auditmw keys init --db sqlite:///audit.db",
    "auditmw keys show > trail.vkey",
    "auditmw keys rotate",
    "auditmw keys rewrap --old content.key --new new.key",
)


class Action(StrEnum):
    """What to do."""

    init = "init"
    show = "show"
    rotate = "rotate"
    rewrap = "rewrap"


def keys(
    action: Annotated[
        Action,
        typer.Argument(help="Make a key, show its public half, change over to a new one, or change the content key."),
    ],
    db: DatabaseOption = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", envvar=VARIABLE, help="The signing key; by default beside SQLite."),
    ] = None,
    old: Annotated[Path | None, typer.Option("--old", metavar="FILE", help="The content key until now.")] = None,
    new: Annotated[Path | None, typer.Option("--new", metavar="FILE", help="The content key from now on.")] = None,
) -> int:
    """Make, show or rotate the signing key of a trail. What it prints is the public half, for those who verify.

    Keep the key apart from the database: who has both can write another history and sign it.
    """
    if action is Action.rewrap:
        return _rewrap(required(db), old, new)
    if file is not None and file.startswith(PRIVATE_PREFIX):
        if action is not Action.show:
            raise ConfigurationError(
                f"the key is in {VARIABLE} itself: give --file PATH, and change it where it is kept"
            )
        _print_key(Ed25519Signer.from_text(file))
        return DONE
    path = _default(db) if file is None else Path(file)
    if action is Action.show:
        _print_key(read_signing_key(path))
        return DONE
    if db is None:
        raise ConfigurationError("which trail? Give --db URL, or set AUDITMW_DB: a key bears the name of its trail")
    if action is Action.init:
        require_no_other(db)
        signer = Ed25519Signer.generate(asyncio.run(_origin(db)))
        write_signing_key(path, signer)
        say(f"{path}: set {VARIABLE} to this path, unless it lies beside the trail. Keep a copy of it elsewhere.")
    else:
        require_trail(db)
        rotation = Rotation(db, path)
        if not rotation.run():
            say("the old key signed no checkpoint of the change, so nothing was changed: see `auditmw verify`")
            return FAILED
        signer = rotation.new
        say(f"{path} holds the new key, {rotation.kept} the old one. Restart the writers, and give the new key out.")
    _print_key(signer)
    return DONE


def _rewrap(url: str, old: Path | None, new: Path | None) -> int:
    """Put prompts and answers that are kept under another key, without touching them."""
    if old is None or new is None:
        raise ConfigurationError("from which key to which? Give --old FILE and --new FILE, each of 64 hex digits")
    store = open_privacy(url)
    try:
        with ControlLog(url) as log:
            count = change_content_key(log, store, read_content_key(old), read_content_key(new))
    finally:
        store.close()
    say(f"{count:,} keys are under {new} now. Restart what writes with it, then run this again")
    return DONE


def _print_key(signer: Ed25519Signer) -> None:
    sys.stdout.write(f"{signer.verifier.to_text()}\n")


def _default(db: str | None) -> Path:
    if db is None or key_directory(db) is None:
        raise ConfigurationError(f"where is the key? Give --file PATH, or set {VARIABLE}")
    return home_of(db) / FILE_NAME


async def _origin(db: str) -> str:
    store = store_for(db)
    if store.heads is None:
        raise ConfigurationError(
            "this store keeps no tree, so there is nothing to sign: use sqlite:/// or postgresql://"
        )
    await store.open()
    try:
        return (await store.heads.tree(0)).origin
    finally:
        await store.close()
