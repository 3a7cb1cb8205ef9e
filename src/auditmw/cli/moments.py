"""Dates and times as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from auditmw.errors import ConfigurationError

_AGO: Final = re.compile(r"-(\d{1,6})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(text: str, now: datetime) -> datetime:
    """`2026-11-01`, `2026-11-01T10:00`, with a time zone or in UTC; `-30m`, `-3h`, `-7d`, `-2w` before `now`.

    Raises:
        ConfigurationError: it is none of these.
    """
    if ago := _AGO.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ConfigurationError(f"{text} is before all dates: use a later one") from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no date: write 2026-11-01, 2026-11-01T10:00 (UTC), or -7d, -3h, -30m before now"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
