"""Which reads a trail puts on record: a choice of the trail, kept in it, so that commands obey it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

Reads = Literal["log", "all", "off"]
"""`log`: what shows or gives away content and persons; `all`: queries, reports and looks too; `off`: none."""

READS: Final[tuple[Reads, ...]] = get_args(Reads)
SETTING: Final = "reads"
_LOGGED: Final = {"content", "export", "access", "restricted"}


def reads_of(settings: Mapping[str, Any]) -> Reads:
    """The choice that a trail's settings hold; `log` where none was made."""
    reads: Reads = settings.get(SETTING, "log")
    return reads


def is_recorded(reads: Reads, what: str) -> bool:
    """Whether a read of this kind is put on record under a choice."""
    return reads == "all" or (reads == "log" and what in _LOGGED)
