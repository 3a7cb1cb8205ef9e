"""What a format of the export is: how entries become bytes in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

import msgspec

from auditmw.entry import AuditEntry


class Exporter(Protocol):
    """Writes entries into one file, a page at a time, and holds no more than a few pages of them."""

    def write(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries, at least one."""

    def finish(self) -> None:
        """Write what belongs at the end; the file stays open."""


class Format(msgspec.Struct, frozen=True):
    """A format: its name, what it is, how it begins in an open file.

    `appends` tells whether a file can go on where another run ended. `begin` is given the file and whether it has
    entries already; it raises MissingExtra where a package is needed that is not installed.
    """

    name: str
    about: str
    appends: bool
    begin: Callable[[BinaryIO, bool], Exporter]


class LineExporter:
    """A format of lines: a header, where one is, and what each page comes to."""

    def __init__(self, file: BinaryIO, encode: Callable[[Sequence[AuditEntry]], bytes], header: bytes = b"") -> None:
        self._file = file
        self._encode = encode
        file.write(header)

    def write(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries."""
        self._file.write(self._encode(entries))

    def finish(self) -> None:
        """Nothing: lines end by themselves."""
