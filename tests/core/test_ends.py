"""Ends that come from elsewhere: a trail that closes under a call, halves that fail where nobody listens."""

from __future__ import annotations

import gc
import threading
from contextvars import copy_context

import anyio
import anyio.lowlevel
import pytest

from auditmw import AuditTrail
from auditmw.errors import AuditUnavailable
from auditmw.middleware import Writer

from .conftest import entries_of


def started(trail):
    """A call in flight that only its generator holds."""

    @trail.audited(action="open")
    def words():
        yield 1
        yield 2

    steps = words()
    next(steps)
    return steps


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_half_that_fails_on_the_writers_thread_is_counted_and_the_thread_goes_on(kind, trail_with):
    def failing(call):
        yield
        raise kind

    trail = trail_with(failing)
    for _ in range(2):
        started(trail)
        gc.collect()
        [*_, entry] = entries_of(trail)
        assert (entry.status, entry.audit_errors) == ("abandoned", 1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_halves_without_their_loop_run_as_far_as_one_step_goes(backend, tmp_path):
    seen = []

    async def ends(call):
        yield
        seen.append("ends")

    async def fails(call):
        yield
        raise ValueError("a defect")

    async def yields_again(call):
        for _ in range(2):
            yield

    async def waits(call):
        yield
        await anyio.lowlevel.checkpoint()
        seen.append("waits")

    url = f"sqlite:///{tmp_path}/audit.db"
    trail = AuditTrail(url, pipeline=[Writer(), ends, fails, yields_again, waits])

    async def main():
        block = trail.call(action="open")
        await block.__aenter__()
        return block

    block = anyio.run(main, backend=backend)
    trail.close()
    del block
    with AuditTrail(url) as other:
        [entry] = entries_of(other)
    assert seen == ["ends"]
    assert (entry.status, entry.audit_errors) == ("interrupted", 3)


def test_a_sync_call_with_both_forms_of_a_middleware_is_closed_by_its_plain_one(tmp_path):
    seen = []

    class Both:
        def around(self, call):
            yield
            seen.append("plain")

        async def around_async(self, call):
            yield
            seen.append("async")

    url = f"sqlite:///{tmp_path}/audit.db"
    trail = AuditTrail(url, pipeline=[Writer(), Both()])
    copy_context().run(trail.call().__enter__)  # left open, and its scope with it
    trail.close()
    assert seen == ["plain"]


def test_closing_while_another_thread_is_inside_a_half_seals_the_entry(tmp_path):
    inside, release = threading.Event(), threading.Event()

    def slow(call):
        inside.set()
        release.wait(5)
        yield

    url = f"sqlite:///{tmp_path}/audit.db"
    trail = AuditTrail(url, pipeline=[Writer(), slow])

    def use():
        with trail.call(action="slow"):
            pass

    thread = threading.Thread(target=use)
    thread.start()
    inside.wait(5)
    trail.close()
    release.set()
    thread.join()
    with AuditTrail(url) as other:
        assert [(e.action, e.status) for e in entries_of(other)] == [("slow", "interrupted")]


async def test_without_a_journal_and_refuse_nothing_is_sent(tmp_path):
    (tmp_path / "file").write_text("")
    trail = AuditTrail("memory://", journal_dir=tmp_path / "file" / "journal", on_failure="refuse")
    with pytest.raises(AuditUnavailable), trail.call():
        pytest.fail("the block ran")
    with pytest.raises(AuditUnavailable):
        async with trail.call():
            pytest.fail("the block ran")
    entries = await anyio.to_thread.run_sync(entries_of, trail)
    assert [(e.status, e.error_type) for e in entries] == [("blocked", "AuditUnavailable")] * 2
    assert trail.health().journal_failures
    await trail.aclose()


async def test_an_interrupt_while_the_answer_is_read_goes_on_when_the_entry_is_sealed(trail, monkeypatch):
    def interrupt(call):
        raise KeyboardInterrupt

    monkeypatch.setattr("auditmw.recorder.read_answer", interrupt)
    with pytest.raises(KeyboardInterrupt), trail.call():
        pass
    with pytest.raises(KeyboardInterrupt):
        async with trail.call():
            pass
    assert [e.status for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["success", "success"]
