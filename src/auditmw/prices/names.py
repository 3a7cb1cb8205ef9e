"""Names of models: which versions of a name mean the same model, so that a price list's prefixes invent nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    names = {listed.id.lower(), *(literal.lower().rstrip("@") for literal in _literals(listed.match))}
    return not names.isdisjoint(candidates(model))


def _literals(match: Any) -> Iterator[str]:
    """The names that a matcher spells out; its patterns only add dates and options to those."""
    for inner in getattr(match, "or_", None) or getattr(match, "and_", None) or ():
        yield from _literals(inner)
    for kind in ("equals", "starts_with", "ends_with", "contains"):
        if (literal := getattr(match, kind, None)) is not None:
            yield literal
