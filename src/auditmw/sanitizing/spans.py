"""Where findings in a document lie in its segments."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, takewhile
from typing import NamedTuple

from auditmw.recognizers.finding import Finding
from auditmw.sanitizing.document import Document, Piece

Find = Callable[[str], list[Finding]]


class Span(NamedTuple):
    """A finding in one segment, or the part of one that lies there; `leads` is false for the later parts."""

    start: int
    end: int
    kind: str
    leads: bool = True


Spans = dict[int, list[Span]]
"""By the index of the segment."""


def locate(document: Document, findings: Sequence[Finding], find: Find, acts: Callable[[str], bool]) -> Spans:
    """The findings by segment, sorted and without overlaps.

    What reaches from one segment into another that only happens to lie beside it is an accident of the layout: those
    segments are searched again by themselves with `find`. What crosses the border of neighbours is split there.
    """
    spans: defaultdict[int, list[Span]] = defaultdict(list)
    torn: set[int] = set()
    crossing: list[Finding] = []
    starts = [segment.start for segment in document.segments]
    for finding in findings:
        if finding.start >= document.body_end:
            crossing.append(finding)
            continue
        first = bisect_right(starts, finding.start) - 1
        if first >= 0 and finding.end <= document.segments[first].end:
            offset = starts[first]
            spans[first].append(Span(finding.start - offset, finding.end - offset, finding.kind))
        else:
            last = bisect_right(starts, finding.end - 1) - 1
            torn.update(range(max(first, 0), last + 1))
    for index in torn:
        text = document.text_of(document.segments[index])
        spans[index] = [Span(f.start, f.end, f.kind) for f in find(text)]
    piece_ends = [piece.end for piece in document.pieces]
    for finding in crossing:
        _add_crossing(islice(document.pieces, bisect_right(piece_ends, finding.start), None), finding, spans, acts)
    return {index: sorted(found) for index, found in spans.items() if found}


def count(spans: Spans) -> Counter[str]:
    """How many findings of each kind there are."""
    return Counter(span.kind for found in spans.values() for span in found if span.leads)


def _add_crossing(pieces: Iterable[Piece], finding: Finding, spans: Spans, acts: Callable[[str], bool]) -> None:
    parts = []
    for piece in takewhile(lambda piece: piece.start < finding.end, pieces):
        shift = piece.offset - piece.start
        parts.append((piece.segment, max(finding.start, piece.start) + shift, min(finding.end, piece.end) + shift))
    leads = True
    for segment, start, end in parts:
        over = [s for s in spans[segment] if s.start < end and start < s.end]
        if over and (len(parts) == 1 or not acts(finding.kind)):
            continue  # the segment by itself has told more
        begin, finish = min([start, *(s.start for s in over)]), max([end, *(s.end for s in over)])
        spans[segment] = [s for s in spans[segment] if s not in over]
        spans[segment].append(Span(begin, finish, finding.kind, leads))
        leads = False
