"""What is hidden behind an encoding: decoded once, so that the recognizers can look again.

Base64 runs that hold text; percent escapes, character references, JSON escapes, wrapped lines, and the ways in which
people write addresses so that machines do not read them ("[at]", "[.]"). Each decoded piece is a window of a second
view, set apart by a character that no pattern crosses; offsets lead back to what was decoded.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from auditmw.recognizers.regex import Regex
from auditmw.recognizers.view import Origin, View, fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.keywords import Keywords

_ESCAPE = Regex(
    rb"(?i)(?:%[0-9a-f]{2})+|&#[0-9]{1,7};|&#x[0-9a-f]{1,6};|&commat;|&period;|\\u00[0-9a-f]{2}|\\x[0-9a-f]{2}|\\\r?\n"
    rb"| ?(?:\[|\(|\{|<) ?(?:at|dot|punkt|punto|arroba|@|\.) ?(?:\]|\)|\}|>) ?| at [a-z0-9-]{2,40} dot | dot "
)
KEYWORDS = (
    b"&#", b"&commat", b"&period", b"\\u00", b"\\x", b"\\\n", b"\\\r\n", b" dot ", *(
        opening + gap + word + gap + closing
        for opening, closing in ((b"[", b"]"), (b"(", b")"), (b"{", b"}"), (b"<", b">"))
        for gap in (b"", b" ")
        for word in (b"at", b"dot", b"punkt", b"punto", b"arroba", b"@", b".")
    ),
)  # fmt: skip
"""What tells that there is an escape, beside the percent sign."""

OWNER = "decoding"
_PADDED = Regex(rb"[0-9A-Za-z+/]{14,23}={1,2}")
_PERCENT = Regex(rb"%[0-9A-Fa-f]{2}")
_TEXT = bytes(range(32, 127)) + b"\t\n\r"
_APART = b"\n\xfe\n"
_AROUND = 96
_HEXADECIMAL = b"0123456789abcdefABCDEF"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class _Windows:
    """The second view under construction."""

    def __init__(self, first: View) -> None:
        self.first = first
        self.pieces: list[bytes] = []
        self.size = 0
        self.origin = Origin()

    def copy(self, start: int, end: int) -> None:
        """Take the first view's bytes as they are, with their own way back."""
        if start < end:
            if self.first.origin is None:
                self.origin.copy(self.size, start)
            else:
                self._copy_folded(start, end)
            self._add(self.first.data[start:end])

    def _copy_folded(self, start: int, end: int) -> None:
        for offset in range(start, end):
            begin, _ = self.first.span(offset, offset + 1)
            self.origin.copy(self.size + offset - start, begin)

    def block(self, decoded: bytes, start: int, end: int) -> None:
        """Take these bytes for the first view's bytes from `start` to `end`."""
        self.origin.block(self.size, *self.first.span(start, end))
        self._add(decoded)

    def apart(self, end: int) -> None:
        """End a window that was copied up to `end`."""
        self.origin.copy(self.size, end)
        self._add(_APART)

    def _add(self, data: bytes) -> None:
        self.pieces.append(data)
        self.size += len(data)


def decoded(first: View, keywords: Keywords) -> View | None:
    """A second view of all that could be decoded in the first one, or None where there is nothing."""
    data = first.data
    encoded = _encoded(first)
    escaped = OWNER in first.hits or (b"%" in data and _PERCENT.search(data))
    if not encoded and not escaped:
        return None
    windows = _Windows(first)
    for start, end in encoded:
        content = _content(data[start:end])
        if content:
            windows.block(
                content + _APART, start, end + len(data[end : end + 2]) - len(data[end : end + 2].lstrip(b"="))
            )
    if escaped:
        for group in _grouped(data):
            _unescape(windows, group)
    return View(first.text, b"".join(windows.pieces), windows.origin, keywords) if windows.pieces else None


def _encoded(first: View) -> list[tuple[int, int]]:
    """Where Base64 may be, without its padding: long runs, and shorter ones that are padded."""
    if b"=" not in first.data:
        return first.runs()
    padded = [match.span() for match in _PADDED.finditer(first.data)]
    return first.runs() + [(start, end - first.data.count(b"=", start, end)) for start, end in padded]


def _content(run: bytes) -> bytes | None:
    """The text that a Base64 run stands for, or None if it stands for none."""
    if len(run) % 4 == 1 or not run.translate(None, _HEXADECIMAL):
        return None
    content = b64decode(run.translate(_URL_SAFE) + b"=" * (-len(run) % 4))
    if not content.translate(None, _TEXT):
        return content
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return fold(text)[0] if text.isprintable() else None


def _grouped(data: bytes) -> Iterator[list[tuple[int, int]]]:
    """The escapes, those near each other together."""
    group: list[tuple[int, int]] = []
    for match in _ESCAPE.finditer(data):
        span = match.span()
        if group and span[0] - group[-1][1] > _AROUND:
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _unescape(windows: _Windows, group: list[tuple[int, int]]) -> None:
    data = windows.first.data
    position = max(0, group[0][0] - _AROUND)
    for start, end in group:
        windows.copy(position, start)
        windows.block(_meaning(data[start:end]), start, end)
        position = end
    last = min(len(data), position + _AROUND)
    windows.copy(position, last)
    windows.apart(last)


def _meaning(escape: bytes) -> bytes:
    """What an escape stands for, one byte a character."""
    lower = escape.lower().strip(b" ")
    if lower[:1] == b"%":
        return fold(unquote_to_bytes(escape).decode("utf-8", "replace"))[0]
    if lower[:2] == b"&#":
        number = lower[2:-1]
        code = int(b"0" + number, 16) if number[:1] == b"x" else int(number)
        return fold(chr(code))[0] if code < 0x110000 else b"\xfe"
    if lower[:2] in (b"\\u", b"\\x"):
        return fold(chr(int(lower[-2:], 16)))[0]
    if lower[:1] == b"\\":
        return b""
    if lower == b"dot" or lower[1:-1].strip() in (b"dot", b"punkt", b"punto", b".") or lower == b"&period;":
        return b"."
    if lower.endswith(b" dot"):
        return b"@" + lower[3:-4].strip() + b"."
    return b"@"
