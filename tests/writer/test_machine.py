"""Writer, journal and store together against a model: random calls, outages, crashes, a full disk, restarts."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from auditmw import AuditTrail
from auditmw.journal import segment

from .conftest import SwitchedStore, record


class Trails(RuleBasedStateMachine):
    """One process after another writes to one store; what the model holds is what must be stored in the end."""

    @initialize(in_memory=st.integers(0, 8))
    def start(self, in_memory):
        self.patch = pytest.MonkeyPatch()
        self.root = Path(tempfile.mkdtemp())
        self.store = SwitchedStore()
        self.patch.setattr("auditmw.trail.store_for", lambda _: self.store)
        self.patch.setattr("auditmw.backlog.MEMORY_ENTRIES", in_memory)
        self.patch.setattr("auditmw.diagnostics.logger", lambda: Silent())
        self.ended, self.interrupted, self.generation = set(), set(), 0
        self.begin()

    def begin(self):
        self.generation += 1
        self.directory = self.root / str(self.generation)
        self.trail = AuditTrail("memory://", journal_dir=self.directory)
        self.open, self.full = [], False

    @rule(count=st.integers(1, 30))
    def calls(self, count):
        self.ended.update(record(self.trail) for _ in range(count))

    @rule()
    def begin_a_call(self):
        block = self.trail.call(action="long")
        call = block.__enter__()
        block._scope.__exit__(None, None, None)  # so that it is nobody's parent, and may end in any order
        self.open.append((block, call))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end_a_call(self, data):
        block, call = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        block._recorder.end(call, "success")
        self.ended.add(call.request_id)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def drop_a_call(self, data):
        block, call = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        block._recorder.drop(call)
        self.trail._recorder.finish_dropped(call, "abandoned")  # now rather than when the writer comes to it
        self.ended.add(call.request_id)

    @rule()
    def switch_the_store(self):
        self.store.on = not self.store.on

    @rule()
    def flush(self):
        if self.store.on:
            self.trail.sync.flush(20)
            assert self.trail.health().queue_entries == 0
            assert self.ended <= asyncio.run(self.stored())

    @precondition(lambda self: not self.full)
    @rule()
    def fill_the_disk(self):
        """From now on nothing is written to the journal; a crash would lose what is in memory alone."""
        self.full = True
        self.disk = pytest.MonkeyPatch()

        def no_space(*_):
            raise OSError(28, "No space left on device")

        self.disk.setattr(segment, "_write", no_space)

    def free_the_disk(self):
        if self.full:
            self.disk.undo()
            self.full = False

    @precondition(lambda self: self.full)
    @rule()
    def free_some_space(self):
        self.free_the_disk()

    @precondition(lambda self: not self.full)
    @rule()
    def crash(self):
        """The next process finds the files as they are now; this one's entries stay where they are."""
        if self.trail.health().journal_failures:
            return  # some of it was never in the journal
        copy = self.root / f"{self.generation}-crashed"
        dead, self.store.append = self.trail, never
        dead._writer.submit(snapshot(self.directory, copy)).result()  # between two of the writer's own steps
        self.interrupted.update(call.request_id for _, call in self.open)
        dead.close(0)
        del self.store.append
        self.begin()
        self.directory = copy
        self.trail = AuditTrail("memory://", journal_dir=copy)

    @rule()
    def restart(self):
        self.free_the_disk()
        self.interrupted.update(call.request_id for _, call in self.open)
        self.store.on = True
        self.trail.sync.flush(20)  # which also takes in what a crashed one left here
        self.trail.close(20)
        self.begin()

    async def stored(self):
        return {entry.request_id for entry in await self.store.entries()}

    async def check(self):
        entries = await self.store.entries()
        ids = [entry.request_id for entry in entries if entry.kind != "control"]
        assert len(ids) == len(set(ids))
        assert set(ids) == self.ended | self.interrupted
        assert {e.request_id for e in entries if e.status == "interrupted"} <= self.interrupted
        assert not [e for e in entries if e.action in {"lost", "drop", "set_aside"}]
        for writer in {entry.writer for entry in entries}:
            seqs = await self.store.seqs(writer)
            assert seqs == list(range(1, len(seqs) + 1))

    def teardown(self):
        if hasattr(self, "trail"):
            self.restart()
            self.trail.sync.flush(20)
            self.trail.close(20)
            self.patch.undo()
            asyncio.run(self.check())
            shutil.rmtree(self.root)


async def never(_):
    await asyncio.sleep(60)


async def snapshot(directory, copy):
    if directory.is_dir():
        shutil.copytree(directory, copy)


class Silent:
    """A logger for what is expected here by the hundred."""

    def __getattr__(self, _):
        return lambda *_, **__: None


TestTrails = Trails.TestCase
TestTrails.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
