"""What remembers how far an export came, and knows its file again."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from auditmw.errors import ConfigurationError

TAIL: Final = 65_536
"""A file is known again by so many of its last bytes."""


class Cursor(msgspec.Struct, frozen=True):
    """How far an export came: the last leaf, None before the first, and the file's length then."""

    format: str
    leaf_index: int | None
    bytes: int
    has_entries: bool = True
    """Whether any are in this file: one that was begun and got nothing cannot be told from others."""
    tail: str | None = None
    """A digest of the file's last bytes; None after standard output, and in a cursor of an older version."""
    inode: int | None = None
    """The file's, without its device, which another start of the machine may number anew. A copy has another one."""

    def knows(self, path: Path) -> bool:
        """Whether the file goes on where this ended, and what is longer in it may be cut away.

        It may be a copy, or the export of a trail with the same beginning, as long as nothing must be cut away from it.
        """
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            as_left = found.st_size == self.bytes
            cut_off = found.st_size > self.bytes and self.has_entries and self.inode == found.st_ino
            return (as_left or cut_off) and self.tail in {None, _tail(file, self.bytes)}


def cursor_of(file: BinaryIO, form: str, leaf_index: int | None, *, has_entries: bool) -> Cursor:
    """The cursor at the end of an open file, to which everything is written."""
    length, inode = file.tell(), os.fstat(file.fileno()).st_ino
    return Cursor(form, leaf_index, length, has_entries, _tail(file, length), inode)


def read_cursor(path: Path, form: str) -> Cursor | None:
    """The cursor that was saved for a format; None where there is none yet.

    Raises:
        ConfigurationError: it cannot be read, or is of another format.
    """
    try:
        cursor = msgspec.json.decode(path.read_bytes(), type=Cursor)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path} cannot be read as a cursor: {error}") from error
    if cursor.format != form:
        raise ConfigurationError(f"{path} is the cursor of an export to {cursor.format}: name another for {form}")
    return cursor


def save_cursor(path: Path, cursor: Cursor) -> None:
    """Put it in the place of the last one at once."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(msgspec.json.encode(cursor))
    new.replace(path)


def _tail(file: BinaryIO, length: int) -> str:
    begin = max(0, length - TAIL)
    return sha256(os.pread(file.fileno(), length - begin, begin)).hexdigest()
