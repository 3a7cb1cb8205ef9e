"""The four answers of a verification in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from auditmw.entry import to_rfc3339
from auditmw.log.declared import RESTRICTED
from auditmw.log.report import Report, Verdict

LIMITS: Final = "Verified means: not changed since it was signed. It does not mean that what was written was true."
_MEANINGS: Final[dict[Verdict, str]] = {
    "verified": "The trail leads to a root that a key of yours signed.",
    "tampered": "The trail is not as it was written. Keep the database as it is, and compare it with a backup.",
    "self-consistent": (
        "Nothing contradicts itself; but whoever can write the database could have written it all anew. {remedy}"
    ),
    "cannot tell": "Nothing contradicts itself, and what would settle it is missing: see above.",
    "empty": "There is a trail, and no entry in it.",
}
_SIGN: Final = "Make a signing key with `auditmw keys init`, and verify with --key."
_TREELESS: Final = "nothing can be signed here: this store keeps no tree; use sqlite:/// or postgresql:// for that"
_MOST: Final = 20


class Line(NamedTuple):
    """One line of the answer: `result` is ok, tampered, cannot tell, or note."""

    level: str
    result: str
    detail: str


def meaning_of(report: Report) -> str:
    """The verdict as a sentence, with what to do."""
    remedy = _SIGN if report.has_tree else f"{_TREELESS.capitalize()}."
    return _MEANINGS[report.verdict].format(remedy=remedy)


def lines_of(report: Report) -> list[Line]:
    """The answer line by line."""
    return [*_structure(report), *_signed(report), *_continuity(report), *_complete(report)]


def _structure(report: Report) -> Iterator[Line]:
    structure = report.structure
    if not structure.findings:
        yield Line("structure", "ok", f"{report.entries:,} entries, each as it was written, none missing between them")
    for finding in report.findings[:_MOST]:
        yield Line("structure", "tampered", finding.message)
    if structure.findings > _MOST:
        yield Line("structure", "tampered", f"{structure.findings:,} findings in all")
    if structure.first_bad is not None and structure.first_bad != report.findings[0]:
        yield Line("structure", "tampered", f"the first bad entry: {structure.first_bad.message}")
    if structure.unknown:
        message = f"{len(structure.unknown):,} entries, the first at {structure.unknown[0]}, are of a newer auditmw"
        yield Line("structure", "cannot tell", message)
    if report.pruned:
        yield Line("structure", "note", f"the first {report.pruned:,} entries were pruned, as a retain entry says")
    if structure.clock_went_back:
        yield Line("structure", "note", f"the clock went back {structure.clock_went_back:,} times")


def _signed(report: Report) -> Iterator[Line]:
    signed = report.signed
    if not report.has_tree:
        yield Line("signed", "cannot tell", _TREELESS)
    elif not signed.keys:
        yield Line("signed", "cannot tell", f"no key to check with; {signed.checkpoints:,} checkpoints fit the entries")
    elif signed.size is None:
        message = (
            "no checkpoint is signed by a key that you trust: after `auditmw keys init` or `rotate`, start the writer "
            "again, so that it signs"
        )
        yield Line("signed", "cannot tell", message)
    elif report.structure.findings:
        message = f"the leaf hashes of the first {signed.size:,} entries lead to a root signed by {signed.signed_by}"
        yield Line("signed", "note", message)
    else:
        yield Line("signed", "ok", f"the first {signed.size:,} entries, by {signed.signed_by}")
    if signed.keys and signed.unanchored:
        since = "" if signed.unanchored_since_us is None else f", since {to_rfc3339(signed.unanchored_since_us)}"
        message = f"{signed.unanchored:,} entries lie after the newest checkpoint{since}: nothing vouches for them yet"
        yield Line("signed", "note", message)
    if signed.keys and signed.by_other_keys:
        yield Line("signed", "note", f"{signed.by_other_keys:,} checkpoints are signed by keys that you did not name")
    for key in signed.announced:
        yield Line("signed", "note", f"the trail names {key} as its next key: trust it only if its owner says so too")


def _continuity(report: Report) -> Iterator[Line]:
    continuity = report.continuity
    if not continuity.held:
        yield Line("continuity", "note", "you hold no checkpoint, so nothing says what was there before")
    elif continuity.consistent:
        message = f"the trail goes on from {continuity.consistent:,} of {continuity.held:,} checkpoints that you hold"
        yield Line("continuity", "ok", message)
    for message in continuity.unclear:
        yield Line("continuity", "cannot tell", message)


def _complete(report: Report) -> Iterator[Line]:
    complete = report.complete
    lost = complete.dropped or complete.lost or complete.set_aside
    detail = f"{complete.writers:,} writers: {complete.closed:,} closed, {complete.crashed:,} crashed and recovered"
    yield Line("complete", "note" if complete.open or lost else "ok", detail)
    for writer in complete.open[:_MOST]:
        message = f"writer {writer.writer} has not closed after {writer.last_seq:,} entries: it runs, or it vanished"
        yield Line("complete", "note", message)
    if lost:
        message = f"{complete.dropped:,} entries dropped, {complete.lost:,} lost, {complete.set_aside:,} set aside"
        yield Line("complete", "note", f"{message}, as the trail says itself")
    for erased in complete.erased:
        what = f"{erased.field_class} of {erased.entries:,} entries removed"
        if erased.field_class == RESTRICTED:
            what = f"{erased.entries:,} entries restricted"
        yield Line("complete", "note", f"{what}, by the {erased.action} entry at {erased.declared_by}")
