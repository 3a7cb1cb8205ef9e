"""The verification of a trail: its chunks in order, held against its own head and against checkpoints from outside.

It answers four questions one by one. Structure: is every entry as it was written, and none missing? Signed: does the
tree lead to a root that a trusted key signed, and how much lies after it? Continuity: does the trail begin with what
the verifier saw before? Complete: did every writer end its sequence, and what was lost, by its own account? It shows
that nothing was changed since it was signed, not that it was true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from auditmw.errors import EvidenceError
from auditmw.log.ascent import Ascent
from auditmw.log.declared import Declarations, Erasures
from auditmw.log.examine import Examined, Head, read_head
from auditmw.log.findings import Finding, about_run
from auditmw.log.keys import Verifier
from auditmw.log.merkle import Frontier
from auditmw.log.report import Continuity, Report, Structure
from auditmw.log.sequences import Sequences

MAX_FINDINGS: Final = 100
"""So many are kept; the rest is counted."""


class TrailHead(NamedTuple):
    """What the trail says of itself; `frontier` is None in a store without a tree."""

    origin: str
    size: int
    frontier: bytes | None
    stored_at_us: int
    key_id: str | None


class Strays(NamedTuple):
    """What a store holds that belongs to none of its chunks: rows, tiles, and sizes of checkpoints, each a few."""

    rows: Sequence[tuple[int | None, str | None]] = ()
    tiles: Sequence[int] = ()
    checkpoints: Sequence[int] = ()


class Verification:
    """Takes the examined chunks of a trail in order, then reports.

    `verifiers` are the keys that the verifier trusts and `held` the checkpoints that it has, none of them from the
    trail. `start` is the tree of the entries before the first chunk, as a `retain` entry tells it: that entry is a leaf
    itself and must come along.
    """

    def __init__(
        self,
        trail: TrailHead,
        *,
        verifiers: Sequence[Verifier] = (),
        held: Sequence[str] = (),
        start: Frontier | None = None,
    ) -> None:
        self._trail = trail
        self._start = start or Frontier()
        self._verifiers = verifiers
        self._findings: list[Finding] = []
        self._finding_count = 0
        self._first_bad: Finding | None = None
        self._unclear: list[str] = []
        self._held_count = len(held)
        self._sequences = Sequences(pruned=self._start.size > 0)
        self._declarations = Declarations()
        self._erasures = Erasures()
        self._unknown: list[int] = []
        self._hash_keys: set[str] = set()
        self._announced: list[str] = []
        self._last_us = self._clock_went_back = 0
        self._ascent = Ascent(trail.origin, self._start, self._usable(held))
        self._found(self._ascent.begin())

    def add(self, chunk: Examined) -> None:
        """Take the next chunk."""
        self._found(chunk.findings)
        self._unknown += chunk.unknown
        self._hash_keys |= chunk.hash_keys
        self._erasures.add(chunk.erased)
        place = chunk.first
        for writer, first_seq, count in chunk.sequences:
            finding = self._sequences.count(writer, first_seq, count, place)
            self._found([] if finding is None else [finding])
            place += count
        for control in chunk.controls:
            self._sequences.control(control)
            self._declarations.add(control)
            if control.action == "key" and isinstance(vkey := control.metadata.get("vkey"), str):
                self._announced.append(vkey)
        for moment in filter(None, chunk.stored_at):  # 0 where a row is missing
            self._clock_went_back += moment < self._last_us
            self._last_us = moment
        self._found(self._ascent.grow(chunk))

    def report(self, writers: Mapping[str, int] | None, strays: Strays) -> Report:
        """The answer. `writers` is the last number of each writer as the store keeps it, None if it does not."""
        self._found(self._ascent.beyond())
        self._check_head()
        self._check_strays(strays)
        if writers is not None:
            self._found(self._sequences.check(writers, self._ascent.frontier.size))
        if self._start.size and not self._declarations.allows(self._start):
            self._found([about_run("missing", 0, self._start.size - 1, "is missing, and no retain entry says why")])
        erased, unexplained = self._erasures.explained_by(self._declarations)
        self._found([*unexplained, *self._erasures.shown_again(self._declarations, self._start.size)])
        return Report(
            origin=self._trail.origin,
            entries=self._ascent.frontier.size - self._start.size,
            pruned=self._start.size,
            structure=Structure(self._finding_count, self._first_bad, self._unknown, self._clock_went_back),
            signed=self._ascent.signed(len(self._verifiers), self._announced),
            continuity=Continuity(self._held_count, self._ascent.consistent, self._unclear),
            complete=self._sequences.complete(erased),
            findings=self._findings,
            has_tree=self._trail.frontier is not None,
        )

    def _found(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._finding_count += 1
            if len(self._findings) < MAX_FINDINGS:
                self._findings.append(finding)
            best = self._first_bad
            if finding.first is not None and (best is None or best.first is None or finding.first < best.first):
                self._first_bad = finding

    def _usable(self, held: Sequence[str]) -> list[Head]:
        """The held checkpoints that can be held against the entries that are here."""
        usable = []
        for text in held:
            try:
                head = read_head(text, self._verifiers)
            except EvidenceError as error:
                self._unclear.append(f"a checkpoint that you hold cannot be used: {error}")
                continue
            checkpoint = head.checkpoint
            if checkpoint.origin != self._trail.origin:
                message = f"you hold a checkpoint of {checkpoint.origin}, and this is {self._trail.origin}"
                self._found([Finding("continuity", f"{message}: it is another trail, or was put in its place")])
            elif checkpoint.size < self._start.size:
                message = (
                    f"you hold a checkpoint of {checkpoint.size} entries, and the first {self._start.size} are pruned"
                )
                self._unclear.append(message)
            else:
                usable.append(head)
        return usable

    def _check_head(self) -> None:
        trail, frontier = self._trail, self._ascent.frontier
        if trail.size != frontier.size:
            self._found([Finding("head", f"the trail counts {trail.size} entries, and {frontier.size} are here")])
        elif trail.frontier not in {None, frontier.to_bytes()}:
            self._found([Finding("head", f"the {trail.size} entries do not give the head that the trail keeps")])
        if frontier.size > self._start.size and trail.stored_at_us != self._last_us:
            self._found([Finding("head", "the time that the trail keeps is not that of its last entry")])
        if trail.key_id is not None and self._hash_keys - {trail.key_id}:
            self._found(
                [Finding("head", f"entries name another digest key than {trail.key_id}, to which the trail is bound")]
            )

    def _check_strays(self, strays: Strays) -> None:
        for leaf_index, request_id in strays.rows:
            message = f"a row that is no entry of the trail was added: {request_id}"
            self._found([Finding("extra", message, leaf_index, leaf_index, request_id)])
        for number in strays.tiles:
            self._found([Finding("tile", f"tile {number} lies beyond the trail's last entry")])
        for size in strays.checkpoints:
            message = f"a checkpoint covers {size} entries, and the trail ends at {self._ascent.frontier.size}"
            self._found([Finding("missing", f"{message}: the last ones are missing", self._ascent.frontier.size)])
