"""`auditmw access`: all that is held of a person, for them to read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from auditmw.cli import DONE, NotFound
from auditmw.cli.opening import DatabaseOption, required
from auditmw.cli.output import say
from auditmw.cli.reads import ActorOption
from auditmw.cli.trust import say_if_unsigned
from auditmw.locations import key_directory
from auditmw.privacy.access import MANIFEST, give_access
from auditmw.privacy.control import ControlLog
from auditmw.privacy.person import Person, is_known
from auditmw.privacy.reading import KEEPS_NONE, keeps_content
from auditmw.privacy.vault import Vault, find_content_key
from auditmw.stores.privacy import open_privacy

EXAMPLES: Final = (
    "auditmw access --user alice --out alice",
    "auditmw access --subject patient-17 --tenant acme --out copy --content",
)


def access(
    out: Annotated[Path, typer.Option("--out", help="A new directory for the files.")],
    user: Annotated[str | None, typer.Option("--user", help="Whose calls.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Whom the calls are about.")] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="In which tenant; needed where the id occurs in several.")
    ] = None,
    content: Annotated[bool, typer.Option("--content", help="Decrypt prompts and answers that are kept.")] = False,
    restricted: Annotated[
        bool, typer.Option("--restricted", help="With what an erasure wants gone and something keeps.")
    ] = False,
    purpose: Annotated[str, typer.Option("--purpose", help="What for, for the record.")] = "access request",
    actor: ActorOption = None,
    db: DatabaseOption = None,
) -> int:
    """Write all that is held of a person: entries as JSON lines, a page to read, and a signed manifest.

    What belongs to others is left out. That it was given is on record.
    """
    person = Person.of(user, subject, tenant)
    url = required(db)
    store = open_privacy(url)
    try:
        if not is_known(store, person):
            raise NotFound(f"nothing is held of {person.name}")
        decrypts = content and keeps_content(store)
        vault = Vault(find_content_key(key_directory(url), os.environ)) if decrypts else None
        with ControlLog(url, actor=actor) as log:
            given = give_access(log, store, person, out, purpose=purpose, vault=vault, restricted=restricted)
            signer = log.signer
    finally:
        store.close()
    if content and not decrypts:
        say(f"{KEEPS_NONE}: --content adds nothing")
    say(f"{out}: {given.entries:,} entries, {given.contents:,} with content, read {len(given.consultations):,} times")
    say_if_unsigned(str(out / MANIFEST), signer)
    return DONE
