"""`auditmw prove ID`: a file that shows, without the trail, that one entry is in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from auditmw.cli import CANNOT_TELL, DONE, NotFound
from auditmw.cli.files import require_writable
from auditmw.cli.finding import find_entry
from auditmw.cli.opening import DatabaseOption, reading, required
from auditmw.cli.output import say
from auditmw.cli.reads import ActorOption, PurposeOption, on_record, purpose_of
from auditmw.entry import FIELD_CLASSES
from auditmw.errors import ConfigurationError, NotCovered, NoTrail
from auditmw.keys import HashKey, find_key
from auditmw.locations import home_of, key_directory
from auditmw.proving import prove_entry

_CLASSES: Final = (*FIELD_CLASSES, "content")
EXAMPLES: Final = (
    "auditmw prove 019ab1c2-3d4e-7f3a-9c1b-2f6f5a1d8e07 --out entry.proof",
    "auditmw prove 019ab1c2-3d4e-8e07 --class who --class digests   [dim]# as a table shortens it[/dim]",
    "auditmw prove 019ab1c2-3d4e-8e07 --content answer.txt --out answer.proof",
)


def prove(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The entry's id, whole or as tables show it.")],
    db: DatabaseOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; standard output by default.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help=f"Show this class too: {', '.join(_CLASSES)}."),
    ] = None,
    content: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show that this text (JSON, or plain) was sent or received."),
    ] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The digest key, for --content.")] = None,
    restricted: Annotated[
        bool, typer.Option("--restricted", help="Though an erasure wants it gone and something keeps it: a --purpose.")
    ] = False,
    purpose: PurposeOption = None,
    actor: ActorOption = None,
) -> int:
    """Prove one entry: its core, and the field classes that you name. All else stays hidden, and provable later.

    The class `content` is shown as it lies under lock, so that nobody reads it without its key.
    """
    url = required(db)
    what_for = purpose_of(purpose, restricted=restricted)
    text = None
    if content is not None:
        text = (_bytes_of(content), _digest_key(url, key_file))
    if out is not None:
        require_writable(out)
    with reading(url) as trail:
        seen = find_entry(trail, identity, None)
        entry = seen or (None if what_for is None else find_entry(trail, identity, what_for))
        whole = identity if entry is None else entry.request_id  # the core of a restricted entry needs no purpose
        try:
            proof = prove_entry(url, whole, classes or (), text)
        except NoTrail as error:
            raise NotFound(str(error)) from error
        except NotCovered as error:
            say(str(error))
            return CANNOT_TELL
        hidden = bool(proof.classes) and seen is None
        if hidden and what_for is None:
            raise NotFound(f"{whole} is restricted: prove its core alone, or give --restricted and a --purpose")
        about: dict[str, Any] = {"purpose": purpose, "entry": whole, "classes": sorted(proof.classes)}
        if entry is not None:
            about |= {"subject": entry.subject or entry.user_id, "tenant": entry.tenant}
        with on_record(trail, "restricted" if hidden else "prove", actor=actor, **about) as told:
            told(1)
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
