"""By what a report can group, and the columns that show the groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from auditmw.errors import ConfigurationError
from auditmw.reports.columns import Column

GROUPINGS: Final[dict[str, Column]] = {
    "user": Column("user", "user_id", "user", leads=True),
    "model": Column("model", "model", "model", leads=True),
    "tenant": Column("tenant", "tenant", "tenant", leads=True),
    "team": Column("team", "team", "team", leads=True),
    "app": Column("app", "app", "app", leads=True),
    "action": Column("action", "action", "action", leads=True),
    "day": Column("day", "day", "day (UTC)", leads=True),
    "hour": Column("hour", "hour", "hour (UTC)", leads=True),
}
"""By name, the column that shows it. A team is `metadata["team"]`."""


def columns_for(by: Sequence[str], more: dict[str, Column] | None = None) -> list[Column]:
    """The columns of these groupings; `more` are those that only this report knows.

    Raises:
        ConfigurationError: there is no such grouping, or it is named twice.
    """
    known = GROUPINGS | (more or {})
    for name in by:
        if name not in known:
            raise ConfigurationError(f"a report cannot group by {name!r}: use {', '.join(known)}")
    if len(set(by)) < len(by):
        raise ConfigurationError(f"grouping by {','.join(by)} names one twice: name each once")
    return [known[name] for name in by]
