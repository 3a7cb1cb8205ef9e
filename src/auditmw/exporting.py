"""Writes a stream of entries into a file in some format, and remembers how far it came.

The cursor is a small file beside the export: the last leaf that was written, how long the file was then, and what it is
known again by. What a run that was cut off has written after that is cut away by the next one, so every entry is in the
file once. A file that the cursor does not know is left alone. A new file holds nothing yet to be known by, so it gets
its name only when the first cursor is saved; until then it is a `.part`. Leaves are numbered as they are stored, so an
entry that comes late has a later leaf and is never passed over.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from auditmw.cursors import Cursor, cursor_of, read_cursor, save_cursor
from auditmw.entry import FIELD_CLASSES, AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.exporters.exporter import Format

PAGE: Final = 500
PAGES_A_CURSOR: Final = 20
"""After so many pages the file is synced and the cursor moved."""

Progress = Callable[[int, int], None]
"""Told how many entries are written, and the leaf of the last one."""


class Export:
    """One run of an export into `out`, or to standard output; `cursor` names the file that remembers.

    Raises:
        ConfigurationError: the file is there already and cannot go on, or the cursor is of another export or file.
    """

    def __init__(self, form: Format, out: Path | None, cursor: Path | None = None) -> None:
        self._format = form
        self._out = out
        self._path = cursor
        self._cursor = None if cursor is None else read_cursor(cursor, form.name)
        self._unnamed = False
        """While the file is a `.part` that no cursor knows."""
        if out is None and not form.appends:
            raise ConfigurationError(f"{form.name} is no text: name a file with --out")
        self._goes_on()

    @property
    def after(self) -> int | None:
        """The leaf after which this run begins; None for all."""
        return None if self._cursor is None else self._cursor.leaf_index

    def run(self, entries: Iterable[AuditEntry], progress: Progress | None = None) -> int:
        """Write the entries, which come in the order of their leaves; returns how many they were."""
        written = 0
        last: int | None = None
        with self._opened() as (file, goes_on):
            has_entries = goes_on
            exporter = self._format.begin(file, goes_on)
            try:
                for number, page in enumerate(_pages(entries), start=1):
                    exporter.write(page)
                    written, last, has_entries = written + len(page), page[-1].leaf_index, True
                    if self._format.appends and number % PAGES_A_CURSOR == 0:
                        self._remember(file, last, has_entries)
                    if progress is not None and last is not None:
                        progress(written, last)
            finally:
                exporter.finish()
            if self._format.appends:
                self._remember(file, last, has_entries)
        if not self._format.appends and self._out is not None:
            _part(self._out).replace(self._out)
            if self._path is not None:
                leaf_index = self.after if last is None else last
                save_cursor(self._path, Cursor(self._format.name, leaf_index, self._out.stat().st_size))
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
        elif self._path is None:
            with self._out.open("xb") as file:
                yield file, False
        else:
            with self._known_again(self._out) as opened:
                yield opened

    @contextmanager
    def _known_again(self, out: Path) -> Iterator[tuple[BinaryIO, bool]]:
        """The file of a cursor, without what a run that was killed has left."""
        cursor, part = self._cursor, _part(out)
        if cursor is not None and cursor.tail and not out.exists() and part.exists() and cursor.knows(part):
            part.replace(out)  # the run was killed when it had saved the cursor
        if cursor is not None and self._goes_on():
            with out.open("r+b") as file:
                _lock(file, out)
                file.seek(cursor.bytes)
                file.truncate()
                self._remember(file, None, has_entries=True)  # the file may be a copy, or the cursor an older one
                yield file, True
        else:
            with part.open("a+b") as file:
                _lock(file, part)
                file.truncate(0)
                self._unnamed = True
                yield file, False

    def _goes_on(self) -> bool:
        """Whether the file is there and has entries, after which this run goes on.

        Raises:
            ConfigurationError: it is there and cannot go on.
        """
        out, cursor = self._out, self._cursor
        if out is None or not out.exists():
            return False
        if cursor is None or not self._format.appends:
            how = "give the --cursor that it was written with" if self._format.appends else "each run needs its own"
            raise ConfigurationError(f"{out} is there already: name another file; {how}")
        if out.stat().st_size < cursor.bytes:
            raise ConfigurationError(f"{out} is shorter than its cursor says: export to a new file")
        if not cursor.knows(out):
            begins = "with the first entry" if self.after is None else f"after leaf {self.after}"
            raise ConfigurationError(
                f"{out} is not as the run left it that wrote {self._path}: give the cursor that it was written with, "
                f"or name a new file, which begins {begins}"
            )
        return cursor.has_entries and cursor.bytes > 0

    def _remember(self, file: BinaryIO, leaf_index: int | None, has_entries: bool) -> None:
        """Move the cursor to the end of the file, and give a new one its name."""
        if self._out is None:
            file.flush()
        else:
            _sync(file)
        if self._path is None:
            return
        leaf_index = self.after if leaf_index is None else leaf_index
        if self._out is None:
            save_cursor(self._path, Cursor(self._format.name, leaf_index, 0, has_entries=False))
            return
        cursor = cursor_of(file, self._format.name, leaf_index, has_entries=has_entries)
        if self._unnamed:
            self._make_way(self._out)
        save_cursor(self._path, cursor)
        if self._unnamed:
            _part(self._out).replace(self._out)
            self._unnamed = False

    def _make_way(self, out: Path) -> None:
        """Remove a file that got no entries, before its cursor is gone; one that has any may have come meanwhile."""
        if self._goes_on():
            raise ConfigurationError(f"{out} has come back while a new file was written: move it away, and run again")
        out.unlink(missing_ok=True)


def without(classes: Sequence[str]) -> Callable[[AuditEntry], AuditEntry]:
    """A function that leaves these classes of fields out of an entry.

    Raises:
        ConfigurationError: there is no such class.
    """
    if unknown := sorted(set(classes) - set(FIELD_CLASSES)):
        raise ConfigurationError(f"there is no class {', '.join(unknown)}: use some of {', '.join(FIELD_CLASSES)}")
    absent = {name: None for found in classes for name in FIELD_CLASSES[found]}
    return lambda entry: msgspec.structs.replace(entry, **absent)


def _pages(entries: Iterable[AuditEntry]) -> Iterator[list[AuditEntry]]:
    found = iter(entries)
    while page := list(islice(found, PAGE)):
        yield page


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other runs out until the file is closed. Raises ConfigurationError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except (BlockingIOError, FileNotFoundError):
        free = False
    if not free:
        raise ConfigurationError(f"another run is writing {path}: wait for its end, or name another file and cursor")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
