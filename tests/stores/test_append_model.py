"""Append against a model: batches of several writers, cut anyhow, repeated, overlapping, beyond a gap."""

from __future__ import annotations

import asyncio
import tempfile

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from auditmw.entry import AuditEntry
from auditmw.errors import SequenceGap
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch, Filter

WRITERS = ["a", "b", "c"]


def entry(writer, seq):
    return AuditEntry(f"{writer}{seq}", 1_795_176_000_000_000 + seq, user_id=writer, metadata={"seq": seq})


class Appends(RuleBasedStateMachine):
    """What is stored is each writer's run of numbers, and the order in which they came."""

    url = ""

    @initialize()
    def start(self):
        self.runner = asyncio.Runner()
        self.store = None
        self.last = dict.fromkeys(WRITERS, 0)
        self.order = []
        self.open_again()

    @rule()
    def open_again(self):
        if self.store is not None:
            self.runner.run(self.store.close())
        self.store = store_for(self.url)
        self.runner.run(self.store.open())

    @rule(writer=st.sampled_from(WRITERS), back=st.integers(-2, 40), count=st.integers(0, 60), ready=st.booleans())
    def append(self, writer, back, count, ready):
        first = max(1, self.last[writer] + 1 - back)
        batch = Batch(writer, first, [entry(writer, seq) for seq in range(first, first + count)])
        if ready:
            self.runner.run(self.store.prepare(batch))
        if first > self.last[writer] + 1:
            with pytest.raises(SequenceGap):
                self.runner.run(self.store.append(batch))
            return
        new = range(self.last[writer] + 1, first + count)
        assert self.runner.run(self.store.append(batch)) == len(new)
        self.order += [(writer, seq) for seq in new]
        self.last[writer] += len(new)

    @rule(writer=st.sampled_from(WRITERS))
    def read_one_writer(self, writer):
        found = self.runner.run(self.read(Filter(user_id=writer, newest_first=True)))
        assert [e.seq for e in found] == list(range(self.last[writer], 0, -1))

    @invariant()
    def the_trail_is_what_was_appended(self):
        if not hasattr(self, "runner"):
            return
        found = self.runner.run(self.read(Filter()))
        assert [(e.writer, e.seq, e.leaf_index) for e in found] == [(*key, n) for n, key in enumerate(self.order)]
        assert [e.request_id for e in found] == [f"{writer}{seq}" for writer, seq in self.order]

    async def read(self, wanted):
        return [e async for e in self.store.query(wanted)]

    def teardown(self):
        if hasattr(self, "runner"):
            self.runner.run(self.store.close())
            self.runner.close()


def run(make_url, steps, examples):
    class Machine(Appends):
        @initialize()
        def start(self):
            self.url = make_url()
            super().start()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


@pytest.mark.parametrize("kind", ["jsonl", "sqlite"])
def test_a_store_on_disk_holds_what_the_model_holds(kind):
    with tempfile.TemporaryDirectory() as folder:
        run(lambda: f"{kind}:///{tempfile.mkdtemp(dir=folder)}/trail", steps=15, examples=15)


async def test_postgres_holds_what_the_model_holds(postgres_url):
    async def empty():
        db = await asyncpg.connect(postgres_url)
        await db.execute("TRUNCATE audit_entries, audit_batches, audit_tiles, audit_writers RESTART IDENTITY CASCADE")
        await db.execute("ALTER TABLE audit_trail DISABLE TRIGGER USER")
        await db.execute(r"UPDATE audit_trail SET size = 0, frontier = '\x0000000000000000'")
        await db.execute("ALTER TABLE audit_trail ENABLE TRIGGER USER")
        await db.close()
        return postgres_url

    await asyncio.to_thread(run, lambda: asyncio.run(empty()), steps=12, examples=8)
