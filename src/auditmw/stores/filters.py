"""What a filter asks for, as conditions that every store can apply in its own way."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from auditmw.entry import AuditEntry
from auditmw.stores.protocol import Filter

_EQUAL: Final = (
    "request_id",
    "call_id",
    "parent_id",
    "user_id",
    "subject",
    "session_id",
    "tenant",
    "model",
    "status",
    "action",
)
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    ">=": operator.ge,
    "<": operator.lt,
}


BY_CALL: Final = (
    "(e.call_id = {0} AND (e.attempt > 0 OR e.call_id <> e.request_id) OR e.request_id = {0} AND e.call_id = {0})"
)
"""That an entry is of a call, in the words of both indexes that find its attempts."""


class Condition(NamedTuple):
    """One stored field compared with a value."""

    field: str
    operator: str
    value: Any


def conditions(wanted: Filter) -> list[Condition]:
    """All that must hold for an entry to be wanted."""
    found = [Condition(name, "=", value) for name in _EQUAL if (value := getattr(wanted, name)) is not None]
    found.append(Condition("kind", "=", wanted.kind) if wanted.kind else Condition("kind", "<>", "control"))
    if wanted.since_us is not None:
        found.append(Condition("timestamp_us", ">=", wanted.since_us))
    if wanted.until_us is not None:
        found.append(Condition("timestamp_us", "<", wanted.until_us))
    return found


def restriction(wanted: Filter) -> str:
    """The SQL condition that leaves restricted entries out, or everything else."""
    return f"e.restricted IS {'NOT NULL' if wanted.restricted else 'NULL'}"


def matcher(wanted: Filter) -> Callable[[AuditEntry], bool]:
    """A function that says whether an entry is wanted, where nothing is erased and so nothing restricted."""
    if wanted.restricted:
        return lambda _: False
    checks = [(c.field, _OPERATORS[c.operator], c.value) for c in conditions(wanted)]
    if wanted.after is not None:
        checks.append(("leaf_index", operator.gt, wanted.after))
    if wanted.before is not None:
        checks.append(("leaf_index", operator.lt, wanted.before))
    return lambda entry: all(compare(getattr(entry, field), value) for field, compare, value in checks)
