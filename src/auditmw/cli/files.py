"""The files that commands write: whether one can be is found out before anything is done that it is to tell of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to write at the end of; where it was not there before, none stays behind if something fails."""
    new = not path.exists()
    with path.open("ab") as file:
        try:
            yield file
        except BaseException:
            if new:
                path.unlink(missing_ok=True)
            raise


def require_writable(path: Path) -> None:
    """Raise the OSError now that writing this file would raise later; changes nothing."""
    new = not path.exists()
    path.open("ab").close()
    if new:
        path.unlink()


def not_written(error: OSError, path: Path | None = None) -> str:
    """What could not be written, why, and what to do."""
    where = path or error.filename or "the output"
    reason = error.strerror or str(error)
    return f"{where} cannot be written: {reason}: name a place where this user may write and that has room"
