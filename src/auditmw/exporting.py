"""Writes a stream of entries into a file in some format, and remembers how far it came.

The cursor is a small file beside the export: the last leaf that was written, and how long the file was then. What a run
that was cut off has written after that is cut away by the next one, so every entry is in the file once. Leaves are
numbered as they are stored, so an entry that comes late has a later leaf and is never passed over.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from auditmw.entry import FIELD_CLASSES, AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.exporters.exporter import Format

PAGE: Final = 500
PAGES_A_CURSOR: Final = 20
"""After so many pages the file is synced and the cursor moved."""

Progress = Callable[[int, int], None]
"""Told how many entries are written, and the leaf of the last one."""


class Cursor(msgspec.Struct, frozen=True):
    """How far an export came: the last leaf that is in the file, and the file's length then."""

    format: str
    leaf_index: int
    bytes: int


class Export:
    """One run of an export into `out`, or to standard output; `cursor` names the file that remembers.

    Raises:
        ConfigurationError: the file is there already and cannot go on, or the cursor is of another export.
    """

    def __init__(self, form: Format, out: Path | None, cursor: Path | None = None) -> None:
        self._format = form
        self._out = out
        self._path = cursor
        self._cursor = None if cursor is None else _read(cursor, form)
        if out is None and not form.appends:
            raise ConfigurationError(f"{form.name} is no text: name a file with --out")
        if out is not None and out.exists() and (self._cursor is None or not form.appends):
            how = "give the --cursor that it was written with" if form.appends else "each run needs one of its own"
            raise ConfigurationError(f"{out} is there already: name another file; {how}")

    @property
    def after(self) -> int | None:
        """The leaf after which this run begins; None for all."""
        return None if self._cursor is None else self._cursor.leaf_index

    def run(self, entries: Iterable[AuditEntry], progress: Progress | None = None) -> int:
        """Write the entries, which come in the order of their leaves; returns how many they were."""
        written = 0
        last: int | None = None
        with self._opened() as (file, goes_on):
            exporter = self._format.begin(file, goes_on)
            try:
                for number, page in enumerate(_pages(entries), start=1):
                    exporter.write(page)
                    written, last = written + len(page), page[-1].leaf_index
                    if self._format.appends and number % PAGES_A_CURSOR == 0:
                        self._remember(file, last)
                    if progress is not None and last is not None:
                        progress(written, last)
            finally:
                exporter.finish()
            if self._format.appends:
                self._remember(file, last)
        if not self._format.appends and self._out is not None:
            _part(self._out).replace(self._out)
            self._save(last, self._out.stat().st_size)
        return written

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, bool]]:
        """The file, and whether it has entries already."""
        if self._out is None:
            yield sys.stdout.buffer, False
        elif not self._format.appends:
            try:
                with _part(self._out).open("wb") as file:
                    yield file, False
                    _sync(file)
            except BaseException:
                _part(self._out).unlink(missing_ok=True)
                raise
        elif self._cursor is None or not self._out.exists():
            with self._out.open("xb") as file:
                yield file, False
        else:
            with self._out.open("r+b") as file:
                if file.seek(0, os.SEEK_END) < self._cursor.bytes:
                    raise ConfigurationError(f"{self._out} is shorter than its cursor says: export to a new file")
                file.seek(self._cursor.bytes)
                file.truncate()
                yield file, self._cursor.bytes > 0

    def _remember(self, file: BinaryIO, leaf_index: int | None) -> None:
        if self._out is None:
            file.flush()
            self._save(leaf_index, 0)
        else:
            _sync(file)
            self._save(leaf_index, file.tell())

    def _save(self, leaf_index: int | None, length: int) -> None:
        leaf_index = self.after if leaf_index is None else leaf_index
        if self._path is None or leaf_index is None:
            return
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_bytes(msgspec.json.encode(Cursor(self._format.name, leaf_index, length)))
        new.replace(self._path)


def without(classes: Sequence[str]) -> Callable[[AuditEntry], AuditEntry]:
    """A function that leaves these classes of fields out of an entry.

    Raises:
        ConfigurationError: there is no such class.
    """
    if unknown := sorted(set(classes) - set(FIELD_CLASSES)):
        raise ConfigurationError(f"there is no class {', '.join(unknown)}: use some of {', '.join(FIELD_CLASSES)}")
    absent = {name: None for found in classes for name in FIELD_CLASSES[found]}
    return lambda entry: msgspec.structs.replace(entry, **absent)


def _read(path: Path, form: Format) -> Cursor | None:
    try:
        cursor = msgspec.json.decode(path.read_bytes(), type=Cursor)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path} cannot be read as a cursor: {error}") from error
    if cursor.format != form.name:
        raise ConfigurationError(f"{path} is the cursor of an export to {cursor.format}: name another for {form.name}")
    return cursor


def _pages(entries: Iterable[AuditEntry]) -> Iterator[list[AuditEntry]]:
    found = iter(entries)
    while page := list(islice(found, PAGE)):
        yield page


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
