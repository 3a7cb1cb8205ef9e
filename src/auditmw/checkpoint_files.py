"""Where checkpoints go besides the store, and how a file of them is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from auditmw.diagnostics import report
from auditmw.errors import ConfigurationError

LOG: Final = "log"
"""Names the sink that logs every checkpoint as a structlog event."""
_SIGNATURE: Final = "\N{EM DASH} "


def make_sinks(wanted: Sequence[str | os.PathLike[str] | Callable[[str], None]]) -> list[Callable[[str], None]]:
    """The sinks that were asked for: `"log"`, the path of a file to append to, or a callable that takes the text.

    Raises:
        ConfigurationError: something else, or one value instead of a list.
    """
    if isinstance(wanted, str | os.PathLike) or not isinstance(wanted, Sequence):
        raise ConfigurationError(f"checkpoint_sinks is {wanted!r}: give a list of paths, callables and 'log'")
    return [_sink(sink) for sink in wanted]


def split_checkpoints(text: str) -> Iterator[str]:
    """The checkpoints in a file: one, or what a file sink appended, each with its signatures if it has any."""
    waiting: str | None = None
    for block in text.split("\n\n"):
        block = block.strip("\n")  # noqa: PLW2901  (the end of the file has one newline, the others none)
        if not block:
            continue
        if block.startswith(_SIGNATURE) and waiting is not None:
            yield f"{waiting}\n\n{block}\n"
            waiting = None
            continue
        if waiting is not None:
            yield f"{waiting}\n"
        waiting = block
    if waiting is not None:
        yield f"{waiting}\n"


def _sink(wanted: str | os.PathLike[str] | Callable[[str], None]) -> Callable[[str], None]:
    if wanted == LOG:
        return _log
    if isinstance(wanted, str | os.PathLike):
        return _FileSink(Path(wanted))
    if callable(wanted):
        return wanted
    raise ConfigurationError(f"{wanted!r} takes no checkpoints: use a path, a callable or {LOG!r}")


def _log(note: str) -> None:
    report("auditmw.checkpoint", "info", checkpoint=note)


class _FileSink:
    """Appends each checkpoint and a blank line, down to the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return str(self._path)

    def __call__(self, note: str) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(file, f"{note}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
