"""What `auditmw doctor` examines: the store, the key, the journals, and the losses that are on record."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from auditmw.errors import AuditError
from auditmw.journal import survey, volatile_filesystem
from auditmw.keys import read_key
from auditmw.locations import journal_directory, key_directory
from auditmw.signing_keys import VARIABLE, find_signing_key
from auditmw.stores import store_for
from auditmw.stores.protocol import Filter

State = Literal["ok", "warning", "problem"]
LOSSES: Final = {
    "drop": "calls were dropped because the journal was full",
    "lost": "entries were neither stored nor in a journal",
    "set_aside": "entries were refused by the store and set aside",
}


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: State
    what: str
    found: str


def examine(url: str) -> list[Finding]:
    """Look at everything that the trail at `url` stands on; changes nothing."""
    return [*asyncio.run(_store(url)), *_key(url), *_signing_key(url), *_journals(url)]


async def _store(url: str) -> list[Finding]:
    store = store_for(url)
    try:
        await store.open(read_only=True)
    except AuditError as error:
        return [Finding("problem", "store", str(error))]
    findings = [Finding("ok", "store", "answers, and its schema is current")]
    try:
        actions = Counter([entry.action async for entry in store.query(Filter(kind="control"))])
    finally:
        await store.close()
    findings += [
        Finding("warning", "losses on record", f"{actions[action]} control entries say: {meaning}")
        for action, meaning in LOSSES.items()
        if actions[action]
    ]
    if recovered := actions["recover"]:
        findings.append(Finding("ok", "recoveries", f"{recovered} dead processes were recovered from journals"))
    return findings


def _key(url: str) -> Iterator[Finding]:
    if os.environ.get("AUDITMW_KEY"):
        yield Finding("ok", "digest key", "in AUDITMW_KEY")
        return
    home = key_directory(url)
    name = os.environ.get("AUDITMW_KEY_FILE")
    path = Path(name) if name else None if home is None else home / "hash.key"
    if path is None or not path.exists():
        yield Finding("warning", "digest key", "there is none: content digests are null; set AUDITMW_KEY_FILE")
        return
    try:
        key = read_key(path)
    except AuditError as error:
        yield Finding("problem", "digest key", str(error))
        return
    where = "beside the database: back it up apart from it" if path.parent == home else str(path)
    yield Finding("ok", "digest key", f"{key.id}, {where}")


def _signing_key(url: str) -> Iterator[Finding]:
    if store_for(url).heads is None:
        yield Finding("ok", "signing key", "this store keeps no tree, so nothing is signed")
        return
    home = key_directory(url)
    try:
        key = find_signing_key(None, home, journal_directory(url, None, os.environ), os.environ)
    except AuditError as error:
        yield Finding("problem", "signing key", str(error))
        return
    if key is None:
        found = (
            "there is none: `auditmw verify` can only say that the trail agrees with itself; run `auditmw keys init`"
        )
        yield Finding("warning", "signing key", found)
    elif home is not None and not os.environ.get(VARIABLE):
        found = f"{key.signer.name}, beside the database: who gets both can write another history"
        yield Finding("warning", "signing key", found)
    else:
        yield Finding("ok", "signing key", key.signer.name)


def _journals(url: str) -> Iterator[Finding]:
    directory = journal_directory(url, None, os.environ)
    if directory is None or not directory.is_dir():
        yield Finding("ok", "journal", "there is none yet")
        return
    if not os.access(directory, os.W_OK):
        yield Finding("problem", "journal", f"{directory} cannot be written by this user: entries are not crash-safe")
    if (kind := volatile_filesystem(directory)) is not None:
        yield Finding(
            "warning",
            "journal",
            f"{directory} is on {kind}, which a restart of the machine or container loses: set AUDITMW_JOURNAL_DIR",
        )
    journals = survey(directory)
    for one in journals:
        if not one.alive and (one.unsent or one.open_intents):
            found = f"{one.unsent} entries and {one.open_intents} open calls of a dead process wait for the next start"
            yield Finding("warning", f"journal {one.writer[:8]}", found)
        if one.damaged_bytes:
            yield Finding("warning", f"journal {one.writer[:8]}", f"{one.damaged_bytes} bytes are damaged (torn tail)")
    alive = [one for one in journals if one.alive]
    waiting = sum(one.unsent for one in alive)
    size = sum(one.bytes for one in journals)
    yield Finding("ok", "journal", f"{len(alive)} live writers, {waiting} entries on their way, {size:,} bytes")
    aside = directory / "set_aside.jsonl"
    if aside.exists():
        yield Finding("warning", "set aside", f"{aside} holds entries that the store refused: look at their errors")
