"""What a report answers with: rows, and what each column of them holds, so that it can be shown anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Holds = Literal["text", "count", "money", "duration", "ratio", "number", "time", "id", "status"]
"""What a column holds, None where absent: money is integer nanodollars, duration integer microseconds, time integer
microseconds since the epoch, ratio a float from 0 to 1, number a float, id the id of an entry."""


class Column(msgspec.Struct, frozen=True):
    """One column: the attribute of a row that it shows, the name under which JSON gives it, a title, what it holds.

    `drawn` asks for a bar beside the values: compared with the largest ("share"), or of a ratio as it is ("value").
    `adds_up` tells whether the sum of its values means something, `in_tables` whether a table has room for it, `leads`
    whether it says what a row is about, so that a narrow table leaves out others to show it whole.
    """

    attribute: str
    name: str
    title: str
    holds: Holds = "text"
    drawn: Literal["share", "value"] | None = None
    adds_up: bool = False
    in_tables: bool = True
    leads: bool = False


class Answer(msgspec.Struct, frozen=True):
    """The answer to a question: its columns, its rows, and what a reader must know beside them."""

    columns: Sequence[Column]
    rows: Sequence[Any]
    notes: Sequence[str] = ()
