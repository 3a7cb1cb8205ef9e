"""Canonical JSON (RFC 8785), and making any value safe for it.

msgspec writes the same bytes as RFC 8785 for ASCII keys, strings, integers within 2^53, booleans and null, many times
faster than a JCS library; floats and keys beyond the basic plane take the slow way below. The property tests hold both
against the `rfc8785` package.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

MAX_INT: Final = 2**53 - 1
MAX_DEPTH: Final = 64
MAX_NODES: Final = 1_000_000
"""Members of containers, all in all: a value that contains itself many times over grows without end."""
FEW_MEMBERS: Final = 64
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_sorted_encoder = msgspec.json.Encoder(order="sorted")
_NOT_DIGITS: Final = bytes(byte for byte in range(256) if byte not in b"0123456789")
_LONG_NUMBER: Final = re.compile(rb"(?:^|[:,\[])-?[0-9]{16}")
"""Perhaps an integer beyond 2^53-1; a text that looks like one only costs the slow way."""
_SUSPICIOUS: Final = (b"null", b"\\u0000")
_BEYOND_BASIC_PLANE: Final = tuple(bytes([lead]) for lead in range(0xF0, 0xF5))


class _FloatSeen(Exception):  # noqa: N818  (a signal inside this file, never an error)
    pass


def _refuse_float(_text: str) -> float:
    raise _FloatSeen


_float_detector = msgspec.json.Decoder(float_hook=_refuse_float)


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value; values that JSON or the standard cannot hold are made safe first."""
    try:
        encoded = _sorted_encoder.encode(value)
        if _is_small_and_plain(value):
            return encoded
        _float_detector.decode(encoded)
    except Exception:  # a float, a lone surrogate, a huge integer, a foreign object: the slow way decides
        return canonical_text(make_safe(value)).encode()
    suspicious = any(mark in encoded for mark in _SUSPICIOUS) or _has_long_number(encoded)
    suspicious = suspicious or (not encoded.isascii() and any(lead in encoded for lead in _BEYOND_BASIC_PLANE))
    # most often it is only what a text says, and then the bytes are right
    return canonical_text(make_safe(value)).encode() if suspicious and _needs_care(value) else encoded


def _is_small_and_plain(value: Any) -> bool:
    """Whether it has few members and needs no care: looking at those costs less than reading all of their text."""
    if type(value) is str:
        return "\0" not in value
    todo = [value]
    for item in todo:
        kind = type(item)
        if kind is str:
            if "\0" in item:
                return False
        elif kind is dict:
            keys = "".join(item)
            if not keys.isascii() or "\0" in keys:
                return False
            todo += item.values()
        elif kind is list:
            todo += item
        elif kind is int:
            if not -MAX_INT <= item <= MAX_INT:
                return False
        elif item is not None and kind is not bool:
            return False
        if len(todo) > FEW_MEMBERS:
            return False
    return True


def _needs_care(value: Any) -> bool:
    """Whether msgspec may have written something else than RFC 8785 wants.

    That is a NaN as null, a NUL, an integer beyond 2^53, or keys in the order of UTF-8 where that of UTF-16 differs.
    """
    todo = [value]
    while todo:
        item = todo.pop()
        kind = type(item)
        if kind is str:
            if "\0" in item:
                return True
        elif kind is dict:
            if not all(type(key) is str and key.isascii() and "\0" not in key for key in item):
                return True
            todo.extend(item.values())
        elif kind is list or kind is tuple:
            todo.extend(item)
        elif kind is int:
            if not -MAX_INT <= item <= MAX_INT:
                return True
        elif item is not None and kind is not bool:
            return True
    return False


def _has_long_number(encoded: bytes) -> bool:
    few_digits = len(encoded.translate(None, _NOT_DIGITS)) < 16  # told ten times faster than by the search
    return not few_digits and _LONG_NUMBER.search(encoded) is not None


def canonical_text(value: Any) -> str:
    """RFC 8785 text of a safe JSON value (see `make_safe`)."""
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts)


def _write(value: Any, out: Any) -> None:
    if isinstance(value, str):
        out(msgspec.json.encode(value).decode())
    elif value is None or value is True or value is False:
        out({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        out(str(value))
    elif isinstance(value, float):
        out(_number(value))
    elif isinstance(value, Mapping):
        out("{")
        for index, key in enumerate(sorted(value, key=lambda k: k.encode("utf-16-be"))):
            out("," if index else "")
            _write(key, out)
            out(":")
            _write(value[key], out)
        out("}")
    else:
        out("[")
        for index, item in enumerate(value):
            out("," if index else "")
            _write(item, out)
        out("]")


def _number(value: float) -> str:
    """A finite float as ECMAScript writes it (RFC 8785, section 3.2.2.3)."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, part = mantissa.partition(".")
    part = "" if part == "0" else part
    point = len(whole) + int(exponent or 0)
    digits = whole + part
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"


def safe_text(text: str) -> str:
    """The text with NUL and lone surrogates as U+FFFD: what every store can hold."""
    return _UNSAFE.sub("\ufffd", text)


def make_safe(value: Any) -> Any:
    """The value as plain JSON data that every store holds and RFC 8785 defines; never raises.

    NUL and lone surrogates become U+FFFD; integers beyond 2^53-1, NaN and infinities become strings; tuples and sets
    lists; bytes, cyclic, too deep, too many and foreign objects a short text that names their type.
    """
    return made_safe(value)[0]


def made_safe(value: Any) -> tuple[Any, int]:
    """What `make_safe` gives, and how many values say something else now; a tuple that is a list does not."""
    tally = _Tally()
    return _safe(value, (), MAX_DEPTH, tally), tally.changed


class _Tally:
    def __init__(self) -> None:
        self.members_left = MAX_NODES
        self.changed = 0

    def instead(self, text: str) -> str:
        self.changed += 1
        return text


def _safe(value: Any, above: tuple[int, ...], depth: int, tally: _Tally) -> Any:
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str:
        return _text(value, tally)
    if kind is int:
        return value if -MAX_INT <= value <= MAX_INT else tally.instead(_digits(value))
    if kind is float:
        return value if math.isfinite(value) else tally.instead(_NOT_FINITE[str(value)])
    if id(value) in above:
        return tally.instead("<cycle>")
    if not depth:
        return tally.instead("<too deep>")
    try:
        return _inner(value, (*above, id(value)), depth - 1, tally)
    except Exception:  # a foreign object may raise anything when it is looked at
        return tally.instead(f"<{kind.__name__}>")


_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_BASES: Final[tuple[tuple[type, Any], ...]] = ((str, str.__str__), (int, int.__index__), (float, float.__float__))
"""Types whose subclasses are taken for what they are, and how to have the plain value of one."""


def _inner(value: Any, above: tuple[int, ...], depth: int, tally: _Tally) -> Any:
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        tally.members_left -= 1 + len(value)
        if tally.members_left < 0:
            return tally.instead("<too much>")
        if isinstance(value, Mapping):
            return {_key(k, tally): _safe(v, above, depth, tally) for k, v in value.items()}
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_safe(item, above, depth, tally) for item in items]
    for base, plainly in _BASES:
        if isinstance(value, base):
            return _safe(plainly(value), above, depth, tally)
    if isinstance(value, bytes | bytearray | memoryview):
        return tally.instead(f"<{type(value).__name__} of {len(value)} bytes>")
    plain = msgspec.to_builtins(value)  # dates, UUIDs, Decimals, enums, dataclasses and structs
    return tally.instead(f"<{type(value).__name__}>") if plain is value else _safe(plain, above, depth, tally)


def _text(text: str, tally: _Tally) -> str:
    safe = safe_text(text)
    return safe if safe == text else tally.instead(safe)


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than the interpreter writes
        return hex(value)


def _key(key: Any, tally: _Tally) -> str:
    if isinstance(key, str):
        return _text(str.__str__(key), tally)
    safe = _safe(key, (), 2, _Tally())
    return safe if isinstance(safe, str) else canonical_text(safe)
