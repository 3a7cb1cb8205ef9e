"""What lies in a journal directory, for `auditmw doctor`: looked at, never changed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from auditmw.errors import JournalError
from auditmw.journal.frame import HEADER, INTENT, SEALED, Damage
from auditmw.journal.segment import parse_header, read_segment, segments_of
from auditmw.journal.state import hold_if_free, read_state, state_path, writers


class Survey(NamedTuple):
    """One writer's journal. `created` is in microseconds since 1970, 0 where it cannot be told."""

    writer: str
    alive: bool
    created: int
    unsent: int
    open_intents: int
    damaged_bytes: int
    bytes: int


def survey(directory: Path) -> list[Survey]:
    """Every writer's journal in the directory, oldest first. Raises JournalError, OSError."""
    found = [_look(directory, writer_id) for writer_id in writers(directory)]
    return sorted(found, key=lambda one: (one.created, one.writer))


def _look(directory: Path, writer_id: bytes) -> Survey:
    path = state_path(directory, writer_id)
    alive = False
    if path.exists():
        held = hold_if_free(path)
        alive = held is None
        if held is not None:
            held.release()
    state = read_state(path)
    unsent = damaged = size = 0
    intents: set[bytes] = set()
    for segment in segments_of(directory, writer_id):
        try:
            size += segment.stat().st_size
            for item in read_segment(segment, writer_id):
                if isinstance(item, Damage):
                    damaged += item.length
                elif item.kind == HEADER:
                    intents = set(parse_header(item).carried)
                elif item.kind == INTENT:
                    intents.add(item.request_id)
                elif item.kind == SEALED:
                    intents.discard(item.request_id)
                    unsent += item.seq > state.acknowledged
        except FileNotFoundError:  # its owner has just removed it: all in it is stored
            continue
        except JournalError:
            damaged += segment.stat().st_size
    return Survey(writer_id.hex(), alive, state.created, unsent, len(intents), damaged, size)
