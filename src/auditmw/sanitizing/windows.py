"""Scans a very long text in windows: no single step then holds the interpreter so long that a loop would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from auditmw.recognizers.finding import Finding

WINDOW: Final = 1 << 19
"""Characters of a window."""
BEFORE: Final = 1 << 12
"""How far a window looks back, for what lends a value its meaning."""
BEYOND: Final = 1 << 16
"""How far it looks ahead, for where a value ends: twice the longest that any recognizer finds."""


def scan_in_windows(text: str, scan: Callable[[str], list[Finding]]) -> list[Finding]:
    """What `scan` finds, sorted and without overlaps."""
    if len(text) <= WINDOW + BEYOND:
        return scan(text)
    findings: list[Finding] = []
    done = 0
    for start in range(0, len(text), WINDOW):
        shift = max(0, start - BEFORE)
        for kind, begin, end in scan(text[shift : start + WINDOW + BEYOND]):
            if max(start, done) <= begin + shift < start + WINDOW:
                done = end + shift
                findings.append(Finding(kind, begin + shift, done))
    return findings
