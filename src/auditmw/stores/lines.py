"""Lines of a growing file, in both directions, without holding more than a block of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

BLOCK: Final = 1 << 16


def complete_size(path: Path) -> int:
    """How many bytes the whole lines take: a last line without its end does not count."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - BLOCK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def lines_forwards(path: Path, size: int) -> Iterator[bytes]:
    """The lines in the file's first `size` bytes, which end with a whole line."""
    with path.open("rb") as file:
        for line in file:
            size -= len(line)
            if size < 0:
                return
            yield line


def lines_backwards(path: Path, size: int) -> Iterator[bytes]:
    """The same lines, the last one first."""
    rest = b""
    with path.open("rb") as file:
        while size:
            start = max(0, size - BLOCK)
            file.seek(start)
            rest, *lines = (file.read(size - start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            size = start
    if rest:
        yield rest
