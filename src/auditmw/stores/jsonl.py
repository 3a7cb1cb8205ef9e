"""The trail as JSON lines, a file a day: to look at while developing, by one writing process, without a tree.

A line is the entry under its public names, with its salts and its leaf hash. A line without its end is what a crash
left of a write: readers pass over it, and the next writer cuts it off.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, Final, Self

import msgspec

from auditmw.clock import Clock, SystemClock
from auditmw.entry import AuditEntry, to_datetime
from auditmw.errors import ConfigurationError, KeyMismatch, StoreError, StoreUnavailable
from auditmw.stores import path_of
from auditmw.stores.columns import Leaf, make_leaves, to_entry
from auditmw.stores.filters import matcher
from auditmw.stores.growth import FIRST_SEQ, already_stored, stored_at
from auditmw.stores.heads import Heads
from auditmw.stores.lines import complete_size, lines_backwards, lines_forwards
from auditmw.stores.protocol import Batch, Filter
from auditmw.stores.rollups import Rollups

_EVIDENCE: Final = ("salts", "leaf")
_NO_CHOICES: Final = b'{"settings":{},"key_id":null}'


class JsonlStore:
    """A directory of `audit_YYYY-MM-DD.jsonl`, `settings.json`, and a lock that the one writer holds."""

    def __init__(self, directory: str, clock: Clock | None = None) -> None:
        self._directory = Path(directory)
        self._clock = clock or SystemClock()
        self._lock: int | None = None
        self._last_seqs: dict[str, int] = {}
        self._size = 0
        self._stored_at_us = 0
        self.heads: Heads | None = None
        self.rollups: Rollups | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The store of `jsonl:///relative/directory` or `jsonl:////absolute/directory`."""
        return cls(path_of(url))

    async def open(self, *, read_only: bool = False) -> None:
        """Make the directory; raises ConfigurationError where it cannot be used."""
        try:
            if not read_only:
                self._directory.mkdir(parents=True, exist_ok=True)
            readable = os.access(self._directory, os.R_OK | os.X_OK | (0 if read_only else os.W_OK))
        except OSError as error:
            raise ConfigurationError(f"{self._directory.absolute()} cannot be made ({error}): name another") from error
        if not readable or not self._directory.is_dir():
            raise ConfigurationError(
                f"{self._directory.absolute()} is no directory that this user may use: name another"
            )

    async def append(self, batch: Batch) -> int:
        """Store the batch exactly once, as the protocol says."""
        with self._explained():
            self._take_over()
            known = already_stored(batch, self._last_seqs.get(batch.writer, FIRST_SEQ - 1))
            if known < len(batch.entries):
                stored_at_us = stored_at(self._clock.now_us(), self._stored_at_us)
                leaves = make_leaves(batch, known, stored_at_us)
                lines = [encode_line(leaf, self._size + place) for place, leaf in enumerate(leaves)]
                _write(self._directory / f"audit_{to_datetime(stored_at_us):%Y-%m-%d}.jsonl", b"".join(lines))
                self._stored_at_us = stored_at_us
                self._size += len(leaves)
                self._last_seqs[batch.writer] = batch.last_seq
            return len(batch.entries) - known

    async def prepare(self, batch: Batch) -> None:
        """There is nothing to wait for meanwhile."""

    async def last_seq(self, writer: str) -> int:
        """The highest number of a writer that is stored."""
        with self._explained():
            self._take_over()
        return self._last_seqs.get(writer, FIRST_SEQ - 1)

    async def stored(self, request_ids: Collection[str]) -> set[str]:
        """Which of these entries are stored; reads all of them."""
        with self._explained():
            stored = {_entry(line, path).request_id for path, line in _lines(self._whole_files())}
        return stored & set(request_ids)

    async def query(self, wanted: Filter) -> AsyncIterator[AuditEntry]:
        """Stream the entries that fit."""
        with self._explained():
            lines = _lines(self._whole_files(), backwards=wanted.newest_first)
            entries = (_entry(line, path) for path, line in lines)
            for entry in islice(filter(matcher(wanted), entries), wanted.limit):
                yield entry

    async def settings(self) -> dict[str, Any]:
        """The trail-wide choices."""
        settings: dict[str, Any] = self._choices()["settings"]
        return settings

    async def set_setting(self, name: str, value: Any) -> None:
        """Keep a trail-wide choice."""
        choices = self._choices()
        choices["settings"][name] = value
        self._choose(choices)

    async def bind_key(self, key_id: str) -> None:
        """Refuse every key but the trail's first."""
        choices = self._choices()
        if choices["key_id"] is None:
            self._choose({**choices, "key_id": key_id})
        elif choices["key_id"] != key_id:
            raise KeyMismatch

    async def stand_aside(self, gone: Event, over: Event) -> None:  # noqa: ARG002  (the protocol's)
        """A child that writes is refused as any second process is."""
        gone.set()

    async def close(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_over(self) -> None:
        """Become the one writer: learn from the files what is stored, and cut off what a crash left."""
        if self._lock is not None:
            return
        lock = os.open(self._directory / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in self._files():
                os.truncate(path, complete_size(path))
            self._last_seqs, self._size, self._stored_at_us = {}, 0, 0
            for path, line in _lines(self._whole_files()):
                entry = _entry(line, path)
                self._last_seqs[entry.writer or ""] = entry.seq or 0
                self._size += 1
                self._stored_at_us = entry.stored_at_us or 0
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("audit_????-??-??.jsonl"))

    def _whole_files(self) -> list[tuple[Path, int]]:
        """The files, and how far they consist of whole lines now."""
        return [(path, complete_size(path)) for path in self._files()]

    def _choices(self) -> dict[str, Any]:
        path = self._directory / "settings.json"
        with self._explained():
            choices: dict[str, Any] = msgspec.json.decode(path.read_bytes() if path.exists() else _NO_CHOICES)
        return choices

    def _choose(self, choices: dict[str, Any]) -> None:
        path = self._directory / "settings.json"
        with self._explained():
            path.with_suffix(".new").write_bytes(msgspec.json.encode(choices))
            path.with_suffix(".new").replace(path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError as error:
            raise StoreUnavailable(
                f"another process writes to {self._directory}: JSONL takes one; use sqlite:///audit.db for several"
            ) from error
        except OSError as error:
            raise StoreUnavailable(f"{self._directory} cannot be used for now: {error}") from error


def _lines(files: list[tuple[Path, int]], *, backwards: bool = False) -> Iterator[tuple[Path, bytes]]:
    read = lines_backwards if backwards else lines_forwards
    for path, size in reversed(files) if backwards else files:
        for line in read(path, size):
            yield path, line


def encode_line(leaf: Leaf, leaf_index: int) -> bytes:
    """The one way in which an entry and its evidence are written."""
    fields = to_entry(leaf.row, leaf_index).to_dict()
    return msgspec.json.encode({**fields, "salts": leaf.salts.hex(), "leaf": leaf.hash.hex()}) + b"\n"


def _entry(line: bytes, path: Path) -> AuditEntry:
    try:
        fields = msgspec.json.decode(line)
        return AuditEntry.from_dict({name: value for name, value in fields.items() if name not in _EVIDENCE})
    except (ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} holds a line that is no entry ({error}): run `auditmw verify`") from error


def _write(path: Path, data: bytes) -> None:
    """Append all or nothing, down to the disk."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        try:
            if os.write(file, data) != len(data):
                raise OSError(f"{path} took only a part of a write: free disk space")
            os.fsync(file)
        except BaseException:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
