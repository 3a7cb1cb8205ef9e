"""`scan`: a text in, findings out."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING

from auditmw.errors import ConfigurationError
from auditmw.recognizers.decoding import decoded
from auditmw.recognizers.guarded import find_within
from auditmw.recognizers.overlaps import ORDER, resolve
from auditmw.recognizers.table import KEYWORDS, RECOGNIZERS
from auditmw.recognizers.view import View, fold

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from auditmw.recognizers.finding import Finding, Recognizer

KINDS = frozenset(ORDER)
"""The kinds of the built-in recognizers."""

DEFAULT_KINDS = KINDS - {"DATE"}
"""The kinds that `scan` looks for unless told otherwise."""

RULES_VERSION = "2026.11.1"
"""The version of the built-in rule tables; their content has a hash, `rules_hash()`."""


def scan(
    text: str,
    *,
    kinds: Collection[str] = DEFAULT_KINDS,
    recognizers: Sequence[Recognizer] = (),
    deadline: float = 1.0,
) -> list[Finding]:
    """Find personal data and credentials in a text.

    Args:
        text: any string; lone surrogates and NUL are characters like others.
        kinds: which of the built-in kinds to look for; all but DATE by default.
        recognizers: of one's own, beside the built-in ones; all their kinds are looked for.
        deadline: the seconds that these may take together. The built-in ones are linear in the text and need none.

    Returns:
        Findings with offsets into `text`, sorted, without overlaps.

    Raises:
        ConfigurationError: a kind that no built-in recognizer knows.
        RecognizerFailed: one of `recognizers` raised or passed the deadline.
    """
    kinds = frozenset(kinds)
    wanted = _wanted(kinds)
    view = View(text, *fold(text), KEYWORDS)
    found = _found(view, wanted)
    second = decoded(view, KEYWORDS)
    if second is not None:
        found += _found_decoded(second, wanted)
    if kinds != KINDS:
        found = [finding for finding in found if finding.kind in kinds]
    if recognizers:
        found += find_within(deadline, recognizers, view)
    return resolve(found) if found else found


@cache
def _wanted(kinds: frozenset[str]) -> tuple[tuple[Recognizer, str | None], ...]:
    """The recognizers of these kinds, each with its gate: "keyword" or "digit", or None if it always has to look."""
    unknown = kinds - KINDS
    if unknown:
        raise ConfigurationError(f"no built-in recognizer finds {', '.join(sorted(unknown))}: use {', '.join(ORDER)}")
    return tuple((one, getattr(one, "gate", None)) for one in RECOGNIZERS if kinds.intersection(one.kinds))


def _found(view: View, wanted: Sequence[tuple[Recognizer, str | None]]) -> list[Finding]:
    """What is found where what a recognizer cannot do without is there: most texts hold hardly any keyword."""
    found: list[Finding] = []
    hits, has_digits = view.hits, view.has_digits
    for recognizer, gate in wanted:
        if gate is None or (has_digits if gate == "digit" else recognizer.name in hits):
            found += recognizer.find(view)
    return found


def _found_decoded(second: View, wanted: Sequence[tuple[Recognizer, str | None]]) -> list[Finding]:
    """What is found in the decoded view and takes in something decoded; the rest was plain to see in the first one."""
    found = _found(second, wanted)
    if not found or second.origin is None:
        return found
    spans = second.origin.decoded()
    starts = [start for start, _ in spans]
    kept = []
    for finding in found:
        nearest = bisect_left(starts, finding.end) - 1
        if nearest >= 0 and spans[nearest][1] > finding.start:
            kept.append(finding)
    return kept


@cache
def rules_hash() -> str:
    """The SHA-256 of the built-in rule tables, in hexadecimal: equal where the same rules were in force."""
    digest = hashlib.sha256(RULES_VERSION.encode())
    for recognizer in RECOGNIZERS:
        digest.update(repr((recognizer.name, recognizer.kinds, recognizer.rules)).encode())
    return digest.hexdigest()
