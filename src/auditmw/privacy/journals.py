"""What journals and set-aside files hold of a person."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from auditmw.entry import AuditEntry, to_us
from auditmw.errors import JournalError
from auditmw.journal.frame import HEADER, INTENT, SEALED, Damage
from auditmw.journal.segment import parse_header, read_segment, segments_of
from auditmw.journal.state import writers
from auditmw.log.leaf import STORED_FIELDS
from auditmw.privacy.person import Person
from auditmw.sealing import decode

_SET_ASIDE: Final = "set_aside*.jsonl"
_FIELDS: Final = AuditEntry.__struct_fields__
_ABOUT: Final = ("user_id", "subject", "tenant", "kind")
_LATEST_US: Final = to_us(datetime.max.replace(tzinfo=UTC))
_POLL_SECONDS: Final = 0.1


def wait_for_journals(directory: Path | None, person: Person, seconds: float) -> int:
    """Wait until no journal holds an entry of the person; returns in how many writers' journals some remain."""
    deadline = time.monotonic() + seconds
    while remaining := _mentioning(directory, person):
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
    return remaining


def is_set_aside(directory: Path | None, person: Person) -> bool:
    """Whether an entry of the person was set aside."""
    return any(True for _ in _set_aside(directory, person))


def erase_set_aside(directory: Path | None, person: Person, keeps: Callable[[Sequence[Any]], bool]) -> int:
    """Overwrite, in place, the entries of the person that were set aside; a writer may append meanwhile.

    `keeps` tells of an entry, as stored values, whether it must stay.
    """
    count = 0
    for path, offset, length, fields in list(_set_aside(directory, person)):
        if keeps([fields.get(name) for name in STORED_FIELDS]):
            continue
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b'{"erased":true}'.ljust(length))
            file.flush()
            os.fsync(file.fileno())
        count += 1
    return count


def _mentioning(directory: Path | None, person: Person) -> int:
    if directory is None or not directory.is_dir():
        return 0

    def concerned(entry: AuditEntry) -> bool:
        return person.concerns(**{name: getattr(entry, name) for name in _ABOUT})

    return sum(any(map(concerned, _entries(directory, writer))) for writer in writers(directory))


def _entries(directory: Path, writer: bytes) -> Iterator[AuditEntry]:
    """Every entry whose bytes lie in a writer's journal, acknowledged or not; what cannot be read is passed over."""
    for path in segments_of(directory, writer):
        try:
            for item in read_segment(path, writer):
                if isinstance(item, Damage):
                    continue
                payloads = [item.payload] if item.kind in {INTENT, SEALED} else []
                if item.kind == HEADER:
                    payloads = list(parse_header(item).carried.values())
                yield from map(decode, payloads)
        except (FileNotFoundError, JournalError):  # removed just now, or of a newer auditmw
            continue


def _set_aside(directory: Path | None, person: Person) -> Iterator[tuple[Path, int, int, dict[str, Any]]]:
    """File, offset and length of each line that holds an entry of the person, and the entry's fields."""
    for path in [] if directory is None else sorted(directory.glob(_SET_ASIDE)):
        offset = 0
        for line in path.read_bytes().splitlines(keepends=True):
            fields = _fields_of(line)
            if fields is not None and person.concerns(**{name: fields[name] for name in _ABOUT}):
                yield path, offset, len(line.rstrip(b"\n")), fields
            offset += len(line)


def _fields_of(line: bytes) -> dict[str, Any] | None:
    try:
        fields: dict[str, Any] = dict(zip(_FIELDS, msgspec.json.decode(line)["entry"], strict=False))
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    if not fields.keys() >= {*_ABOUT, "timestamp_us"}:
        return None
    moment = fields["timestamp_us"]  # of an entry that no store took, which may hold anything
    return fields | {"timestamp_us": moment if type(moment) is int and 0 <= moment <= _LATEST_US else 0}
