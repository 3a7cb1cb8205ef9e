"""Verifies a stored trail: reads it chunk by chunk, in one process or several, and changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final

from auditmw.errors import NoTrail, StoreUnavailable
from auditmw.log.declared import cut_of
from auditmw.log.examine import Examined, examine
from auditmw.log.keys import Verifier
from auditmw.log.merkle import Frontier
from auditmw.log.report import Report
from auditmw.log.verify import TrailHead, Verification
from auditmw.stores.evidence import EvidenceReader, open_evidence, read_evidence

CHUNK: Final = 16 * 256
"""Leaves that are read at once: whole tiles."""
AHEAD: Final = 2
"""Chunks that each process may be ahead, so that results do not pile up."""

Progress = Callable[[int, int], None]
"""Told how many entries of how many are done."""
Span = tuple[int, int]


def verify_trail(
    url: str,
    *,
    verifiers: Sequence[Verifier] = (),
    held: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Verify the trail at `url` under the keys and checkpoints that the verifier brings along.

    Memory does not grow with the trail. With several jobs each process reads a moment of its own; as erasure and
    retention may run beside them, a trail with findings is read again in one.

    Raises:
        NoTrail: there is none.
        TrailDamaged: it cannot be read as it was written.
        ConfigurationError, StoreError: it cannot be reached, or is of another version.
    """
    report = _verify(url, verifiers, held, jobs, progress)
    if jobs > 1 and report.structure.findings:
        report = _verify(url, verifiers, held, 1, progress)
    return report


def _verify(
    url: str, verifiers: Sequence[Verifier], held: Sequence[str], jobs: int, progress: Progress | None
) -> Report:
    def work(reader: EvidenceReader) -> Report:
        head = reader.head()
        if head is None:
            raise NoTrail(f"the trail at {url} has lost the row that says what it is: it was removed")
        start = _start(reader)
        until = _end(reader, head, start)
        verification = Verification(head, verifiers=verifiers, held=held, start=start)
        spans = _spans(start.size, until)
        alone = jobs == 1 or head.frontier is None  # JSONL can be read in order only
        examined = _here(reader, spans, verifiers) if alone else _elsewhere(url, spans, verifiers, jobs)
        for chunk in examined:
            verification.add(chunk)
            if progress is not None:
                progress(chunk.first + len(chunk.hashes) - start.size, until - start.size)
        return verification.report(reader.writers(), reader.strays(head))

    return read_evidence(url, work)


def _start(reader: EvidenceReader) -> Frontier:
    """The tree of what is gone from the trail's beginning, by its own account.

    A run of retention that was interrupted has declared more than it has removed: what is left below its cut counts as
    gone.
    """
    first = reader.extent().first
    if first == 0:
        return Frontier()
    cuts = [cut for control in reader.retained() if (cut := cut_of(control)) is not None and cut.size >= first]
    return min(cuts, key=lambda cut: cut.size, default=Frontier())


def _end(reader: EvidenceReader, head: TrailHead, start: Frontier) -> int:
    """Where to stop looking: at the last entry, or earlier where somebody moved that far away."""
    extent = reader.extent()
    until = min(head.size, extent.until)
    if until - start.size > 2 * extent.entry_count + CHUNK:
        until = start.size + extent.entry_count
    return max(until, start.size)


def _spans(first: int, until: int) -> Iterator[Span]:
    while first < until:
        end = min(first - first % CHUNK + CHUNK, until)
        yield first, end
        first = end


def _here(reader: EvidenceReader, spans: Iterator[Span], verifiers: Sequence[Verifier]) -> Iterator[Examined]:
    for first, until in spans:
        yield examine(reader.chunk(first, until), verifiers)


def _elsewhere(url: str, spans: Iterator[Span], verifiers: Sequence[Verifier], jobs: int) -> Iterator[Examined]:
    waiting: deque[Future[Examined]] = deque()
    try:
        with ProcessPoolExecutor(jobs, get_context("spawn"), _begin_job, (url, verifiers)) as pool:
            for span in spans:
                waiting.append(pool.submit(_job, span))
                if len(waiting) > jobs * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise StoreUnavailable(
            "a process that verified has ended too early, so nothing is known: use one job"
        ) from error


def _begin_job(url: str, verifiers: Sequence[Verifier]) -> None:
    global _job_reader, _job_verifiers
    _job_reader, _job_verifiers = open_evidence(url), verifiers


def _job(span: Span) -> Examined:
    assert _job_reader is not None  # noqa: S101  (_begin_job ran first)
    return examine(_job_reader.chunk(*span), _job_verifiers)


_job_reader: EvidenceReader | None = None
_job_verifiers: Sequence[Verifier] = ()
