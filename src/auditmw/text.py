"""Values as people read them. Whatever stands in a field, whoever shows it obeys none of it."""

from __future__ import annotations

import re
from typing import Final

from auditmw.entry import decimal_text, to_datetime

ABSENT: Final = "-"
_UNSEEN: Final = (
    "\x7f-\x9f"  # delete, and the second set of control characters, one of which begins an escape sequence
    "\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, and those that turn text around
    "\ud800-\udfff"
)
_CONTROL: Final = re.compile(f"[\x00-\x1f{_UNSEEN}\U000e0000-\U000e007f]")
_CONTROL_IN_JSON: Final = re.compile(f"[{_UNSEEN}]")
_NANO: Final = 1_000_000_000


def printable(text: str) -> str:
    """The text with every character that a terminal would obey, or not show, as an escape."""
    return _CONTROL.sub(lambda found: _escape(ord(found[0])), text)


def printable_json(line: str) -> str:
    """The same for a line of JSON, whose strings still mean what they meant."""
    return _CONTROL_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def short_id(identity: str) -> str:
    """An entry's id as tables show it: its millisecond and its last digits, since ids made at once begin alike."""
    return f"{identity[:13]}-{identity[-4:]}"


def money(nano: int, digits: int = 4) -> str:
    """Nanodollars as US dollars with so many digits after the point; what would show as nothing is `<$0.0001`."""
    whole, part = divmod(abs(nano), _NANO)
    unit = 10 ** (9 - digits)
    if 0 < abs(nano) < unit:
        return f"<${decimal_text(unit)}"
    rounded = (part + unit // 2) // unit
    whole, rounded = (whole + 1, 0) if rounded == 10**digits else (whole, rounded)
    return f"{'-' * (nano < 0)}${whole:,}.{rounded:0{digits}d}"


def money_digits(nanos: list[int]) -> int:
    """How many digits after the point amounts in one column need: cents, or enough to tell small ones apart."""
    smallest = min((abs(nano) for nano in nanos if nano), default=_NANO)
    return 2 if smallest >= _NANO else 4 if smallest >= _NANO // 10_000 else 6


def duration(us: float) -> str:
    """Microseconds as milliseconds, seconds or minutes."""
    if us < 9_950:
        return f"{us / 1000:.1f} ms"
    if us < 999_500:
        return f"{us / 1000:.0f} ms"
    if us < 59_995_000:
        return f"{us / 1_000_000:.2f} s"
    minutes, seconds = divmod(round(us / 1_000_000), 60)
    return f"{minutes} min {seconds} s"


def moment(us: int) -> str:
    """Microseconds since the epoch as date and time in UTC, to the second."""
    return f"{to_datetime(us):%Y-%m-%d %H:%M:%S}"


def percent(share: float) -> str:
    """A share from 0 to 1 as a percentage."""
    return f"{share * 100:.1f} %"
