"""What has happened when a call returns, in each `durability`; power loss is the file cut to what was fsynced."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
import time

import anyio
import pytest

from auditmw.journal import orphans

from .conftest import eventually, fill, record


def after_power_loss(trail, directory, tmp_path):
    """The journal as the disk has it: what was not fsynced is gone, in the worst case."""
    journal = trail.sink._journalling.journal
    synced = 0 if journal._sync is None else journal._sync._synced
    left = tmp_path / "after-power-loss"
    shutil.copytree(directory, left)
    for path in left.glob("*.journal"):
        with path.open("r+b") as file:
            file.truncate(min(synced, path.stat().st_size))
    return left


def sealed_ids(directory):
    found = []
    for orphan in orphans(directory):
        found += [str(record.request_id.hex()) for record in orphan.sealed()]
        orphan.release()
    return found


def hexed(ids):
    return [request_id.replace("-", "") for request_id in ids]


def test_with_memory_nothing_is_journalled_and_the_call_only_hands_over(make_trail, store, directory):
    trail = make_trail(durability="memory")
    record(trail)
    assert trail.health().queue_entries > 0
    trail.sync.flush(10)
    assert not directory.exists()
    assert len(asyncio.run(store.entries(kind="llm"))) == 1


@pytest.mark.parametrize("durability", ["process", "disk", "store"])
def test_with_a_journal_every_call_that_returned_survives_the_process(
    make_trail, store, directory, crashed, durability
):
    trail = make_trail(durability=durability, block_timeout=0.05)
    store.on = False
    made = [record(trail) for _ in range(5)]
    assert hexed(made) == sealed_ids(crashed(directory))[1:]


@pytest.mark.parametrize("durability", ["process", "disk", "store"])
def test_a_call_is_on_record_before_it_is_sent(make_trail, store, directory, crashed, durability):
    trail = make_trail(durability=durability, block_timeout=0.05)
    with trail.call(action="sent") as call:
        [orphan] = orphans(crashed(directory))
        assert [r.request_id.hex() for r in orphan.open_intents] == hexed([call.request_id])
        orphan.release()


def test_with_disk_every_call_that_returned_survives_power_loss(make_trail, store, directory, tmp_path):
    trail = make_trail(durability="disk")
    store.on = False
    made = [record(trail) for _ in range(5)]
    assert hexed(made) == sealed_ids(after_power_loss(trail, directory, tmp_path))[1:]


def test_with_disk_a_call_survives_power_loss_from_before_it_is_sent(make_trail, store, directory, tmp_path):
    trail = make_trail(durability="disk")
    with trail.call(action="sent") as call:
        [orphan] = orphans(after_power_loss(trail, directory, tmp_path))
        assert [r.request_id.hex() for r in orphan.open_intents] == hexed([call.request_id])
        orphan.release()


def test_with_process_power_loss_may_cost_what_the_store_has_not(make_trail, store, directory, tmp_path):
    trail = make_trail(durability="process")
    stored = record(trail)
    trail.sync.flush(10)
    store.on = False
    record(trail)
    assert sealed_ids(after_power_loss(trail, directory, tmp_path)) == []
    assert [e.request_id for e in asyncio.run(store.entries(kind="llm"))] == [stored]


def test_with_store_every_call_that_returned_is_stored(make_trail, store):
    trail = make_trail(durability="store")
    for _ in range(3):
        request_id = record(trail)
        assert request_id in {e.request_id for e in asyncio.run(store.entries())}


async def test_with_store_a_task_waits_without_blocking_its_loop(make_trail, store):
    trail = make_trail(durability="store")
    store.on = False
    returned = []

    async def call():
        async with trail.call(action="a") as made:
            pass
        returned.append(made.request_id)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(call)
        for _ in range(20):
            await anyio.sleep(0.005)
        assert returned == []
        store.on = True
    assert len(returned) == 20
    assert {e.request_id for e in await store.entries(kind="llm")} == set(returned)


def test_with_store_a_call_does_not_wait_for_a_batch_to_gather(make_trail, monkeypatch):
    monkeypatch.setattr("auditmw.writing.GATHER_SECONDS", 2.0)
    trail = make_trail(durability="store")
    record(trail)
    started = time.monotonic()
    record(trail)
    assert time.monotonic() - started < 1


def test_with_store_an_outage_holds_a_call_for_block_timeout_at_most(make_trail, store):
    trail = make_trail(durability="store", block_timeout=0.1)
    store.on = False
    started = time.monotonic()
    record(trail)
    assert 0.1 <= time.monotonic() - started < 5
    store.on = True
    trail.sync.flush(10)
    assert len(asyncio.run(store.entries(kind="llm"))) == 1


def test_with_store_a_full_disk_still_waits_until_the_entry_is_stored(make_trail, store, small_disk):
    trail = make_trail(durability="store", journal_dir=small_disk / "journal")
    record(trail)
    fill(small_disk)
    for _ in range(5):
        request_id = record(trail, metadata={"x": "x" * 2000})
        assert request_id in {e.request_id for e in asyncio.run(store.entries())}
    assert trail.health().journal_failures > 0
    trail.close()


async def test_with_store_a_cancelled_task_still_gets_its_entry(make_trail, store):
    trail = make_trail(durability="store", block_timeout=0.3)
    store.on = False
    with anyio.move_on_after(0.05):
        async with trail.call(action="a"):
            await anyio.sleep(10)
    store.on = True
    await trail.flush(10)
    assert [e.status for e in await store.entries(kind="llm")] == ["cancelled"]


def test_with_store_and_an_external_writer_a_call_waits_for_the_shipper(make_trail, directory):
    trail = make_trail(durability="store", writer="external")
    trail.start()
    done = []
    thread = threading.Thread(target=lambda: done.append(record(trail)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    from auditmw.journal import Follower

    with Follower(directory) as follower:

        def ship():
            for writer, records in follower.read():
                follower.acknowledge(writer, records[-1].seq)
            return done

        eventually(ship)
    thread.join(10)


def test_with_disk_calls_at_once_share_their_fsyncs(make_trail, monkeypatch):
    from auditmw.journal import chain

    syncs = []
    real = chain.sync_file

    def counted(fd):
        syncs.append(fd)
        time.sleep(0.01)
        real(fd)

    monkeypatch.setattr(chain, "sync_file", counted)
    trail = make_trail(durability="disk")
    threads = [threading.Thread(target=record, args=(trail,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(syncs) <= 20  # of 40 records


KILLED = """
import os, sys
from auditmw import AuditTrail
trail = AuditTrail(sys.argv[1], durability=sys.argv[2], journal_dir=sys.argv[3])
def call(n):
    with trail.call(action=f"call {n}") as call:
        pass
    return call.request_id
for n in range(30):
    os.write(1, call(n).encode() + b"\\n")
open_one = trail.call(action="open").__enter__()
os.write(1, open_one.request_id.encode() + b"\\n")
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("durability", ["memory", "process", "disk", "store"])
def test_sigkill_costs_nothing_but_in_memory(tmp_path, directory, durability):
    from auditmw import AuditTrail

    url = f"sqlite:///{tmp_path}/audit.db"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, url, durability, str(directory)], stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert done.returncode == -9
    *returned, interrupted = done.stdout.decode().split()
    with AuditTrail(url, journal_dir=directory) as trail:
        trail.sync.flush(10)
        entries = {entry.request_id: entry.status for entry in trail.sync.query()}
    if durability == "memory":
        assert entries.keys() <= set(returned)
    else:
        assert entries == dict.fromkeys(returned, "success") | {interrupted: "interrupted"}
