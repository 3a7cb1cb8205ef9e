"""Names of models: which versions of a name mean the same model, so that a price list's prefixes invent nothing."""

from __future__ import annotations

import re
from typing import Any, Final

_VERSION: Final = re.compile(r"-v\d+(:\d+)*$")
_DATE: Final = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2}|latest|default)$")


def candidates(model: str) -> list[str]:
    """The name, then without the path before it, a platform's version (`-v1:0`) and a date (`-20260901`)."""
    name = model.lower()
    found = [name]
    for shorten in (lambda text: text.rpartition("/")[2], _without_version, _without_date):
        name = shorten(name)
        found.append(name)
    return list(dict.fromkeys(found))


def _without_version(name: str) -> str:
    return _VERSION.sub("", name)


def _without_date(name: str) -> str:
    return _DATE.sub("", name)


def means(model: str, listed: Any) -> bool:
    """Whether a name is one that a price list spells out for a model, apart from version and date.

    `listed` is a model of genai-prices, whose prefixes match any ending: `claude-opus-4-8-anything` is not
    `claude-opus-4-8`.
    """
    names = candidates(model)
    return listed.id.lower() in names or any(_spelled(clause, names) for clause in _clauses(listed.match))


def _clauses(match: Any) -> list[Any]:
    inner = getattr(match, "or_", None) or getattr(match, "and_", None)
    return [match] if inner is None else [clause for item in inner for clause in _clauses(item)]


def _spelled(clause: Any, names: list[str]) -> bool:
    if (pattern := getattr(clause, "regex", None)) is not None and pattern.endswith("$"):
        return any(clause.is_match(name) for name in names)
    for kind in ("equals", "starts_with", "ends_with", "contains"):
        if (literal := getattr(clause, kind, None)) is not None:
            return literal.lower().rstrip("@") in names
    return False
