"""All that is held of a person, in files that they can read: what, for which purposes, who got it, when it goes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

import msgspec

from auditmw.entry import FIELD_CLASSES, AuditEntry, to_rfc3339
from auditmw.errors import ConfigurationError, EvidenceError
from auditmw.log.keys import Signer
from auditmw.log.note import sign_note
from auditmw.privacy.control import ControlLog
from auditmw.privacy.holds import holds_of, is_held
from auditmw.privacy.person import Person, entries_of, require_one_tenant
from auditmw.privacy.policy import CLASS_NAMES, SETTING, policy_of
from auditmw.privacy.reading import record_read
from auditmw.privacy.recipients import recipient_of
from auditmw.privacy.retention import ClassRules
from auditmw.privacy.vault import Vault
from auditmw.stores.columns import to_entry
from auditmw.stores.privacy import KeptRow, PrivacyStore

TITLE: Final = "auditmw access manifest"
ENTRIES, PAGE, MANIFEST = "entries.jsonl", "index.html", "manifest.txt"
_PAGE: Final = 1000
_OTHERS: Final = ("writer", "seq", "leaf_index", "host")
"""Fields that tell of the operator's machines and not of the person."""


class Summary(msgspec.Struct):
    """What the page says, gathered in one reading of the entries."""

    entries: int = 0
    contents: int = 0
    held: int = 0
    restricted: int = 0
    first: str | None = None
    last: str | None = None
    purposes: dict[str, int] = {}
    recipients: dict[str, int] = {}
    consultations: list[dict[str, Any]] = []


def give_access(
    log: ControlLog,
    store: PrivacyStore,
    person: Person,
    directory: Path,
    *,
    purpose: str = "access request",
    vault: Vault | None = None,
    restricted: bool = False,
) -> Summary:
    """Write all that is held of a person into a new directory, and that it was given on record.

    Entries made by somebody else about the person tell nothing of who made them; consultations have a date and a
    purpose, and no name. Content is decrypted where a `vault` is given. What an erasure wants gone and something keeps
    is counted, and given only if asked for as `restricted`.

    Raises:
        ConfigurationError: the directory is there already, or the id occurs in several tenants.
    """
    require_one_tenant(store, person)
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise ConfigurationError(f"{directory} is there already: name a new directory with --out") from None
    summary = Summary()
    with (directory / ENTRIES).open("wb") as file:
        for line in _lines(store, person, vault, summary, restricted=restricted):
            file.write(msgspec.json.encode(line) + b"\n")
    more = {"restricted": True} if restricted else {}
    record_read(log, store, "access", purpose, summary.entries, subject=person.name, tenant=person.tenant, **more)
    (directory / PAGE).write_text(_page(store, person.name, summary), "utf-8")
    (directory / MANIFEST).write_text(_manifest(log, store, directory, summary), "utf-8")
    return summary


def _lines(
    store: PrivacyStore, person: Person, vault: Vault | None, summary: Summary, *, restricted: bool
) -> Iterator[dict[str, Any]]:
    """One object an entry."""
    policy, holds = policy_of(store.settings(SETTING)), holds_of(store)
    rules = {} if policy is None else policy.rules()
    for rows in entries_of(store, person):
        for row in rows:
            entry = to_entry(row.values, row.leaf_index)
            if entry.kind == "control":
                _note_consultation(entry, person, summary)
                continue
            if row.restricted is not None:
                summary.restricted += 1
                if not restricted:
                    continue
            summary.held += is_held(holds, row)
            _note(entry, summary)
            line = _fields(entry, person) | {"gone_by": _ends(entry, rules)}
            yield line | _content(store, row, entry, vault, summary)


def _fields(entry: AuditEntry, person: Person) -> dict[str, Any]:
    """The entry without what belongs to somebody else."""
    fields = {name: value for name, value in entry.to_dict().items() if name not in _OTHERS}
    if person.subject is not None and entry.user_id != person.subject:
        fields |= dict.fromkeys(("user_id", "session_id", "client_ip_hash"))
    if person.user_id is not None and entry.subject not in {None, person.user_id}:
        fields["subject"] = None
    return fields


def _content(
    store: PrivacyStore, row: KeptRow, entry: AuditEntry, vault: Vault | None, summary: Summary
) -> dict[str, Any]:
    content = store.content(row.leaf_index)
    if content is None:
        return {}
    summary.contents += 1
    if vault is None:
        return {"content": "kept under lock, and not decrypted for this copy"}
    try:
        return {"content": vault.open(content, entry.request_id)}
    except EvidenceError as error:
        return {"content": str(error)}


def _note(entry: AuditEntry, summary: Summary) -> None:
    moment = to_rfc3339(entry.timestamp_us)
    summary.entries += 1
    summary.first, summary.last = min(summary.first or moment, moment), max(summary.last or moment, moment)
    for counts, name in ((summary.purposes, _purpose(entry)), (summary.recipients, recipient_of(entry))):
        counts[name] = counts.get(name, 0) + 1


def _purpose(entry: AuditEntry) -> str:
    purpose = entry.purpose or "none stated"
    return f"{purpose} ({entry.legal_basis})" if entry.legal_basis else purpose


def _note_consultation(entry: AuditEntry, person: Person, summary: Summary) -> None:
    if entry.action == "read" and entry.subject == person.name:  # what they read themselves is of others
        metadata = entry.metadata or {}
        summary.consultations.append(
            {"when": to_rfc3339(entry.timestamp_us), "what": metadata.get("what"), "purpose": metadata.get("purpose")}
        )


def _ends(entry: AuditEntry, rules: Mapping[str, ClassRules]) -> dict[str, str | None]:
    """The day on which each class of the entry goes; None where no ceiling says so."""
    stored = entry.stored_at.date() if entry.stored_at is not None else date.max
    ends: dict[str, str | None] = {}
    for name in CLASS_NAMES:
        fields = FIELD_CLASSES.get(name, ())
        if name in FIELD_CLASSES and all(getattr(entry, field) is None for field in fields):
            continue
        found = rules.get(name, ClassRules())
        end = max(found.ceiling_end(stored), found.floor_end(stored))
        ends[name] = None if end == date.max else end.isoformat()
    return ends


def _manifest(log: ControlLog, store: PrivacyStore, directory: Path, summary: Summary) -> str:
    """What was given, as a signed note, or as text where the trail has no signing key."""
    files = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in (ENTRIES, PAGE)}
    data = {
        "trail": store.head()[0],
        "made_at": to_rfc3339(log.clock.now_us()),
        "entries": summary.entries,
        "contents": summary.contents,
        "consultations": len(summary.consultations),
        "files": files,
    }
    text = f"{TITLE}\n{msgspec.json.encode(data).decode()}\n"
    signer: Signer | None = log.signer
    return text if signer is None else sign_note(text, signer)


def _page(store: PrivacyStore, who: str, summary: Summary) -> str:
    policy = policy_of(store.settings(SETTING))
    rules = [] if policy is None else [str(rule) for one in policy.rules().values() for part in one for rule in part]
    body = "".join(
        [
            f"<h1>What is held of {escape(who)}</h1>",
            f"<p>Made on {datetime.now(UTC):%d %B %Y}: {_extent(summary)}</p>",
            _listed("Purposes and legal bases", (f"{k}: {v} entries" for k, v in summary.purposes.items())),
            _listed("Recipients", (f"{k}: {v} entries" for k, v in summary.recipients.items())),
            _listed("How long it is kept", rules or ["no period is set"]),
            _listed("Kept for a legal dispute", [f"{summary.held} entries"] if summary.held else []),
            _listed("To be erased, and kept by a law or for a dispute", _restricted(summary)),
            _listed("Consultations", (f"{c['when']}: {c['what']}, for: {c['purpose']}" for c in summary.consultations)),
        ]
    )
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Access</title><body>{body}</body></html>\n'


def _restricted(summary: Summary) -> list[str]:
    return [f"{summary.restricted} entries"] if summary.restricted else []


def _extent(summary: Summary) -> str:
    return (
        f"{summary.entries} entries, {summary.contents} of them with prompt and answer, "
        f"from {summary.first} to {summary.last}. "
        f"All of them are in <code>{ENTRIES}</code>, one JSON object a line, each with the day on which its parts go "
        "(<code>gone_by</code>)."
    )


def _listed(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines) or "<li>none</li>"
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>"
