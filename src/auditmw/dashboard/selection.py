"""What a page was asked for, read from its query string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from auditmw.errors import ConfigurationError

DAYS: Final = (1, 7, 30, 90)
SPLITS: Final = ("user", "model")
DEFAULT_DAYS: Final = 30


class Span(NamedTuple):
    """The hours or days that a chart shows, from `since` until before `until`."""

    since: datetime
    until: datetime
    days: int

    @property
    def unit(self) -> str:
        """In what steps: `hour` where it is a single day."""
        return "hour" if self.days == 1 else "day"

    @property
    def steps(self) -> list[str]:
        """The steps in order, named as the rollups name them."""
        if self.unit == "hour":
            return [f"{self.since + timedelta(hours=hour):%Y-%m-%dT%H}" for hour in range(24)]
        return [f"{self.since + timedelta(days=day):%Y-%m-%d}" for day in range(self.days)]

    @property
    def labels(self) -> list[str]:
        """The steps as an axis names them."""
        return [
            f"{step[11:]}:00" if self.unit == "hour" else f"{date.fromisoformat(step):%b %-d}" for step in self.steps
        ]


class Selection(NamedTuple):
    """The part of the trail that an overview or report is about."""

    span: Span
    split: str
    tenant: str | None


def read_selection(query: Mapping[str, str], now: datetime) -> Selection:
    """What was chosen, or the last 30 days by user.

    Raises:
        ConfigurationError: a value is none of those that there are.
    """
    days = number(query.get("days") or str(DEFAULT_DAYS), "days")
    asked = query.get("split") or SPLITS[0]
    if days not in DAYS or asked not in SPLITS:
        raise ConfigurationError(f"days is one of {', '.join(map(str, DAYS))}; split one of {', '.join(SPLITS)}")
    split = asked if asked in splits_of(days) else splits_of(days)[0]
    return Selection(span_of(days, now), split, query.get("tenant") or None)


def splits_of(days: int) -> Sequence[str]:
    """By what so many days can be split: what happens by the hour is kept by model, and not by user."""
    return ("model",) if days == 1 else SPLITS


def span_of(days: int, now: datetime) -> Span:
    """The last so many days with today, or the last 24 hours with this one."""
    if days == 1:
        hour = now.replace(minute=0, second=0, microsecond=0)
        return Span(hour - timedelta(hours=23), hour + timedelta(hours=1), days)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(today - timedelta(days=days - 1), today + timedelta(days=1), days)


def day(text: str | None) -> datetime | None:
    """The beginning of a day in UTC; None of nothing.

    Raises:
        ConfigurationError: it is no day.
    """
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no day: write 2026-11-01") from None
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def number(text: str, name: str) -> int:
    """A whole number from 0 on.

    Raises:
        ConfigurationError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ConfigurationError(f"{name} is {text!r}: it must be a whole number")
    return int(text)
