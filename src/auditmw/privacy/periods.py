"""Calendar periods in UTC: whole days, months and years, as laws and policies name them."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple

from auditmw.errors import ConfigurationError

_TEXT: Final = re.compile(r"(\d{1,4}) (day|month|year)s?")
_DAY: Final = timedelta(days=1)


class Period(NamedTuple):
    """A number of calendar months and days; read from text such as `6 years`, `18 months` or `90 days`."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str) -> Period:
        """The period that a text names; raises ConfigurationError for any other spelling, and for none at all."""
        found = _TEXT.fullmatch(text.strip())
        if found is None or not int(found[1]):
            raise ConfigurationError(f"{text!r} is no period: write it as `90 days`, `6 months` or `2 years`")
        count = int(found[1])
        return {"day": cls(0, count), "month": cls(count, 0), "year": cls(12 * count, 0)}[found[2]]

    def __str__(self) -> str:
        unit, count = ("day", self.days) if self.days else ("month", self.months)
        if not self.days and self.months % 12 == 0:
            unit, count = "year", self.months // 12
        return f"{count} {unit}{'s' * (count != 1)}"

    def end(self, start: date) -> date:
        """The first day on which the period has passed, from its midnight in UTC on.

        The day of the event does not count, and the last day counts whole: what was stored at any time of 31 January
        has been kept for one month when March begins. A day that its month lacks is the month's last.
        """
        months = start.year * 12 + start.month - 1 + self.months
        year, month = divmod(months, 12)
        if year >= date.max.year:
            return date.max
        last = date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))
        return min(last + timedelta(days=self.days + 1), date.max)


def started_before(end: Callable[[date], date], today: date) -> date:
    """The day before which everything must have started to have ended by today; `end` never goes backwards."""
    low, high = date.min.toordinal(), today.toordinal() + 1
    while low < high:  # the first day whose end is still to come
        middle = (low + high) // 2
        if end(date.fromordinal(middle)) <= today:
            low = middle + 1
        else:
            high = middle
    return date.fromordinal(low)
