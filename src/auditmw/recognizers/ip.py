"""IP: IPv4 and IPv6 addresses, with a zone or a prefix length; versions, section numbers and times are none."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import ALPHANUMERIC, DIGITS, WORD, comes_from, follows_word, precedes_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_DOTTED = Regex(rb"[0-9]+(?:\.[0-9]+){3,}")
_COLONS = Regex(rb"[0-9A-Fa-f:]*(?:::|(?::[0-9A-Fa-f]+){6})[0-9A-Fa-f:.]*")
_PREFIX = Regex(rb"/[0-9]{1,3}")
_ZONE = Regex(rb"%[A-Za-z][A-Za-z0-9._-]{0,14}")
_NUMBERING = Regex(rb"(?:version|release|section|chapter|clause|ver\.?|rev\.?|sec\.?|\bv|[=~^<>]=|[\^~]|\$) ?\z")
_LONGEST_V4, _LONGEST_V6 = 15, 45


class IpRecognizer:
    """Octets and groups are checked, and what stands around them."""

    name = "ip"
    kinds = ("IP",)
    rules = (_DOTTED, _COLONS, _PREFIX, _ZONE, _NUMBERING)

    def find(self, view: View) -> Iterator[Finding]:
        """Addresses of both families."""
        data = view.data
        for match in _DOTTED.finditer(data) if view.has_digits else ():
            start, end = match.span()
            if end - start <= _LONGEST_V4 and _is_v4(data, view.lower, start, end):
                yield Finding("IP", *view.span(start, _with_prefix(data, end, 32)))
        for match in _COLONS.finditer(data) if data.count(b":") >= 2 else ():
            start, end = match.span()
            if end - start <= _LONGEST_V6 + 2:
                end = _end_of_v6(data, start, end)
                if end:
                    yield Finding("IP", *view.span(start, end))


def _is_v4(data: bytes, lower: bytes, start: int, end: int) -> bool:
    octets = data[start:end].split(b".")
    if len(octets) != 4 or any(int(octet) > 255 or (octet[0] == 48 and len(octet) > 1) for octet in octets):
        return False
    if comes_from(data, start, b".-", WORD):
        return False
    if precedes_word(data, end) or (end + 1 < len(data) and data[end] in b"-+" and data[end + 1] in ALPHANUMERIC):
        return False
    return not _NUMBERING.search(lower[max(0, start - 9) : start])


def _with_prefix(data: bytes, end: int, longest: int) -> int:
    match = _PREFIX.match(data, end, end + 4) if data[end : end + 1] == b"/" else None
    if match and int(data[end + 1 : match.end()]) <= longest and not precedes_word(data, match.end()):
        return int(match.end())
    return end


def _end_of_v6(data: bytes, start: int, end: int) -> int:
    """The end of the IPv6 address at `start`, or 0 if there is none."""
    if follows_word(data, start) or data[start - 1 : start] in (b":", b"."):
        return 0
    while end > start and (data[end - 1] == 46 or (data[end - 1] == 58 and data[end - 2] != 58)):
        end -= 1
    if precedes_word(data, end) or _is_slice(data, start, end):
        return 0
    value = data[start:end]
    if not _is_v6(value):
        return 0
    groups = value.split(b":")
    if len(groups) == 8 and all(len(group) == 2 for group in groups):
        return 0  # an EUI-64 or a fingerprint
    zone = _ZONE.match(data, end, end + 16) if data[end : end + 1] == b"%" else None
    if zone:
        return int(zone.end())
    with_prefix = _with_prefix(data, end, 128)
    if with_prefix == end and value.count(b":") < 4 and not any(byte in DIGITS for byte in value):
        return 0  # a scope operator, as in a::b
    return with_prefix


@lru_cache(1024)
def _is_v6(value: bytes) -> bool:
    try:
        ipaddress.IPv6Address(value.decode("ascii"))
    except ValueError:
        return False
    return True


def _is_slice(data: bytes, start: int, end: int) -> bool:
    """Whether it is a step of a slice, as in rows[::2] or rows[1::2] or grid[:, ::2]."""
    if data[end : end + 1] != b"]":
        return False
    if start == 0 or data[start - 1] != 91:
        return True
    return start > 1 and (data[start - 2] in WORD or data[start - 2] in b")]")
