"""`auditmw prove ID`: a file that shows, without the trail, that one entry is in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from auditmw.cli import CANNOT_TELL, DONE, NotFound
from auditmw.cli.opening import DatabaseOption
from auditmw.cli.output import say
from auditmw.entry import FIELD_CLASSES
from auditmw.errors import ConfigurationError, NotCovered, NoTrail
from auditmw.keys import HashKey, find_key
from auditmw.locations import home_of, key_directory
from auditmw.proving import prove_entry

EXAMPLES: Final = (
    "auditmw prove 019ab1c2-3d4e-7f3a-9c1b-2f6f5a1d8e07 --out entry.proof",
    "auditmw prove 019ab1c2-3d4e-7f3a-9c1b-2f6f5a1d8e07 --class who --class digests",
    "auditmw prove 019ab1c2-3d4e-7f3a-9c1b-2f6f5a1d8e07 --content answer.txt --out answer.proof",
)


def prove(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The entry's id, whole.")],
    db: DatabaseOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; standard output by default.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help=f"Show this class too: {', '.join(FIELD_CLASSES)}."),
    ] = None,
    content: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show that this text (JSON, or plain) was sent or received."),
    ] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The digest key, for --content.")] = None,
) -> int:
    """Prove one entry: its core, and the field classes that you name. All else stays hidden, and provable later."""
    if db is None:
        raise ConfigurationError("which trail? Give --db URL, or set AUDITMW_DB")
    text = None
    if content is not None:
        text = (_bytes_of(content), _digest_key(db, key_file))
    try:
        proof = prove_entry(db, identity, classes or (), text)
    except NoTrail as error:
        raise NotFound(str(error)) from error
    except NotCovered as error:
        say(str(error))
        return CANNOT_TELL
    data = proof.to_json()
    if out is None:
        sys.stdout.write(data.decode())
    else:
        out.write_bytes(data)
        say(f"{out}: check it with `auditmw verify --proof {out} --key VKEY`")
    return DONE


def _digest_key(db: str, key_file: Path | None) -> HashKey:
    home = key_directory(db)
    made = home is not None and (home_of(db) / "hash.key").exists()
    key = find_key(key_file, home if made else None, os.environ)
    if key is None:
        raise ConfigurationError("--content needs the trail's digest key: give --key-file, or set AUDITMW_KEY_FILE")
    return key


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error}") from error
