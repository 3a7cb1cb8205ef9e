"""The months that the entries of a PostgreSQL trail are kept in, as partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

MONTHS_AHEAD: Final = 3


class Month(NamedTuple):
    """One calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month that a moment lies in."""
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    def next(self) -> Month:
        """The month after this one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def table(self) -> str:
        """The partition's name."""
        return f"audit_entries_{self.year:04}_{self.month:02}"

    @property
    def sql(self) -> str:
        """The statement that makes the partition."""
        until = self.next()
        return (
            f"CREATE TABLE IF NOT EXISTS {self.table} PARTITION OF audit_entries FOR VALUES "
            f"FROM ('{self.year:04}-{self.month:02}-01 00:00+00') TO ('{until.year:04}-{until.month:02}-01 00:00+00')"
        )


def months_needed(now: datetime) -> list[Month]:
    """This month and those ahead."""
    months = [Month.of(now)]
    while len(months) <= MONTHS_AHEAD:
        months.append(months[-1].next())
    return months
