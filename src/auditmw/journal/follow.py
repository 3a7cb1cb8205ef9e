"""Reads the journals of other, living processes: for `auditmw ship`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from auditmw.errors import JournalError
from auditmw.journal.frame import SEALED, Damage, Record, scan, seed_of
from auditmw.journal.segment import PREAMBLE, segments_of
from auditmw.journal.state import State, hold_if_free, read_state, state_path, write_state, writers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Follower:
    """Follows every journal of a directory that was opened with `external=True`, also while it is being written.

    One follower a directory: JournalError when another process has it. It may be killed at any time; the next one goes
    on behind what was acknowledged. What a writer leaves when it dies comes from `orphans`, which then yields it.
    """

    def __init__(self, directory: Path) -> None:
        try:
            held = hold_if_free(directory / "shipper.lock")
        except OSError as error:
            raise JournalError(
                f"{directory} cannot be followed ({error.strerror}): name a journal directory that is writable here"
            ) from error
        if held is None:
            raise JournalError(f"{directory} is already followed: stop the other `auditmw ship` first")
        self._directory = directory
        self._held = held
        self._tails: dict[bytes, _Tail] = {}

    def read(self) -> Iterator[tuple[bytes, list[Record]]]:
        """What is new: a writer's id and its sealed entries by rising number, at most one file's worth at a time.

        Ends when everything that was there has been given once. One JournalError at the end names the files that could
        not be read, if any; the next call tries them again.
        """
        present = writers(self._directory)
        for writer_id in present - self._tails.keys():
            state = read_state(state_path(self._directory, writer_id))
            if state.external:
                self._tails[writer_id] = _Tail(self._directory, writer_id, state)
        for writer_id in self._tails.keys() - present:
            self._tails.pop(writer_id).close()
        unreadable = []
        for writer_id, tail in list(self._tails.items()):
            try:
                for records in tail.read():
                    yield writer_id, records
            except OSError as error:
                unreadable.append(str(error))
        if unreadable:
            raise JournalError("these journals cannot be read: " + "; ".join(unreadable))

    def acknowledge(self, writer_id: bytes, upto_seq: int) -> None:
        """The store has committed everything of this writer up to that number. Raises JournalError."""
        path = state_path(self._directory, writer_id)
        try:
            fd = os.open(path, os.O_WRONLY)
            try:
                write_state(fd, self._tails[writer_id].state._replace(acknowledged=upto_seq))
            finally:
                os.close(fd)
        except FileNotFoundError:
            return  # the journal has been recovered and removed meanwhile
        except OSError as error:
            raise JournalError(
                f"{path} cannot be written ({error.strerror}): run the shipper as the application's user"
            ) from error

    def close(self) -> None:
        """Stop following; nothing is changed."""
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()
        self._held.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Tail:
    """Where the follower stands in one writer's files."""

    def __init__(self, directory: Path, writer_id: bytes, state: State) -> None:
        self.state = state
        self._directory = directory
        self._writer_id = writer_id
        self._last_seq = state.acknowledged
        self._segment: Path | None = None
        self._fd = -1
        self._offset = 0

    def read(self) -> Iterator[list[Record]]:
        while True:
            later = self._later_segment()  # looked up first: once there is one, nothing more comes into this one
            if records := self._new_records():
                yield records
            if later is None:
                return
            self.close()
            try:
                self._fd, self._offset = os.open(later, os.O_RDONLY), 0
            except FileNotFoundError:
                continue  # acknowledged before, and removed just now
            self._segment = later

    def close(self) -> None:
        if self._fd != -1:
            os.close(self._fd)
            self._fd = -1

    def _later_segment(self) -> Path | None:
        paths = segments_of(self._directory, self._writer_id)
        return next((path for path in paths if self._segment is None or path > self._segment), None)

    def _new_records(self) -> list[Record]:
        if self._fd == -1:
            return []
        data = os.pread(self._fd, os.fstat(self._fd).st_size - self._offset, self._offset)
        start = len(PREAMBLE) if self._offset == 0 else 0
        records = []
        for item, end in scan(seed_of(self._writer_id), data, start):
            if isinstance(item, Damage):
                if end == len(data):
                    break  # still being written
                continue
            if item.kind == SEALED and item.seq > self._last_seq:
                self._last_seq = item.seq
                records.append(item)
            start = end
        self._offset += start
        return records
