"""The end of a trail: what is in flight is told, what waits is stored or stays in the journal, nothing hangs."""

import asyncio
import signal
import subprocess
import sys
import threading
import time

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.errors import AuditError, TrailClosed
from auditmw.journal import orphans

from .conftest import eventually, python, record


async def test_calls_in_flight_are_recorded_as_interrupted_and_their_end_is_ignored(make_trail, store):
    trail = make_trail()
    async with trail.call(action="slow"):
        await trail.aclose()
    entries = await store.entries()
    assert [(e.action, e.status) for e in entries if e.kind == "llm"] == [("slow", "interrupted")]
    assert entries[-1].action == "close"


async def test_a_closed_trail_refuses_calls_and_closing_twice_is_nothing(make_trail, store):
    trail = make_trail()
    await trail.aclose()
    await trail.aclose()
    with pytest.raises(TrailClosed, match="make a new AuditTrail"):
        async with trail.call(action="late"):
            pytest.fail("it was sent")
    with pytest.raises(TrailClosed):
        record(trail)
    with pytest.raises(TrailClosed):
        async with trail:
            pass


def test_what_cannot_be_stored_in_time_stays_in_the_journal_with_a_count_in_the_log(
    make_trail, store, directory, capsys
):
    trail = make_trail()
    store.on = False
    made = [record(trail) for _ in range(7)]
    flushed = trail.flushed()
    started = time.monotonic()
    trail.close(0.2)
    assert 0.2 <= time.monotonic() - started < 3
    assert "event='auditmw.not_all_stored' entries=9" in capsys.readouterr().err
    with pytest.raises(AuditError, match="waits in the journal"):
        flushed.result(0)
    store.on = True
    after = make_trail()
    after.sync.flush(10)
    assert [e.request_id for e in asyncio.run(store.entries(kind="llm"))] == made
    after.close()
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("durability", ["memory", "process", "disk", "store"])
def test_in_every_durability_closing_stores_everything(make_trail, store, directory, durability):
    trail = make_trail(durability=durability)
    made = [record(trail) for _ in range(20)]
    trail.close()
    assert [e.request_id for e in asyncio.run(store.entries(kind="llm"))] == made
    assert not directory.exists() or list(directory.iterdir()) == []


def test_without_a_journal_closing_says_how_many_entries_are_lost(make_trail, store, capsys):
    trail = make_trail(durability="memory")
    store.on = False
    record(trail)
    trail.close(0.1)
    said = capsys.readouterr().err
    assert "event='auditmw.not_all_stored' entries=3" in said
    assert "they are lost" in said


def test_a_store_that_never_answers_holds_up_no_close(make_trail, store, directory):
    hanging = threading.Event()

    async def hang(_):
        hanging.set()
        await asyncio.sleep(3600)

    store.append = hang
    trail = make_trail()
    record(trail)
    assert hanging.wait(10)
    started = time.monotonic()
    trail.close(0.3)
    assert time.monotonic() - started < 3
    assert not [thread for thread in threading.enumerate() if thread.name == "auditmw-writer"]
    [orphan] = orphans(directory)
    assert len(list(orphan.sealed())) == 3
    orphan.release()


def test_a_store_that_cannot_be_closed_is_told(make_trail, store, capsys):
    async def broken():
        raise RuntimeError("a broken driver")

    trail = make_trail()
    record(trail)
    trail.sync.flush(10)
    store.close = broken
    trail.close()
    assert "auditmw.store_not_closed" in capsys.readouterr().err


def test_a_trail_that_was_never_used_closes_without_io(make_trail, directory):
    make_trail().close()
    assert not directory.exists()


async def test_entering_a_trail_whose_store_is_away_waits_for_nothing(tmp_path):
    url = "postgresql://postgres@127.0.0.1:1/nowhere"
    with anyio.fail_after(20):
        async with AuditTrail(url, journal_dir=tmp_path / "journal") as trail:
            async with trail.call(action="a"):
                pass
            assert "cannot be reached" in trail.health().last_store_error
            await trail.aclose(0.1)


ENDS = {
    "at the end of the program": "",
    "by sys.exit": "sys.exit(3)",
    "by an exception": "raise RuntimeError",
    "with a loop that is closed": "asyncio.run(asyncio.sleep(0))",
    "after a query": "list(trail.sync.query())",
    "with threads of its own": "threading.Thread(target=time.sleep, args=(0.2,)).start()",
    "while a call is in flight": "open_call = trail.call(action='open').__enter__()",
}
EXIT = """
import asyncio, sys, threading, time
from auditmw import AuditTrail
trail = AuditTrail(sys.argv[1])
for n in range(50):
    with trail.call(action="a"):
        pass
"""


@pytest.mark.parametrize("how", ENDS)
def test_the_interpreters_exit_drains_what_waits_and_never_hangs(tmp_path, how):
    url = f"sqlite:///{tmp_path}/audit.db"
    done = python(EXIT + ENDS[how], url, timeout=30)
    assert "Traceback" not in done.stderr.replace("RuntimeError", "", 1) or "exception" in how, done.stderr
    assert not list((tmp_path / "audit.db.auditmw").glob("*.journal"))
    with AuditTrail(url) as trail:
        found = [entry.status for entry in trail.sync.query() if entry.action in {"a", "open"}]
    assert found == ["success"] * 50 + ["interrupted"] * ("in flight" in how)


READS = """
import sys
from auditmw import AuditTrail
trail = AuditTrail(sys.argv[1])
print(len(list(trail.sync.query())))
"""


def test_a_trail_that_was_only_read_and_never_closed_does_not_hang_the_exit(tmp_path):
    url = f"sqlite:///{tmp_path}/audit.db"
    with AuditTrail(url) as trail:
        record(trail)
    done = python(READS, url, timeout=20)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_an_exit_without_a_store_leaves_the_journal_and_hangs_no_longer_than_its_deadline(tmp_path):
    url = "postgresql://postgres@127.0.0.1:1/nowhere"
    program = "import auditmw.exits; auditmw.exits.EXIT_SECONDS = 0.5\n" + EXIT.replace(
        "argv[1])", "argv[1], journal_dir=sys.argv[2])"
    )
    started = time.monotonic()
    done = python(program, url, tmp_path / "journal", timeout=30)
    assert time.monotonic() - started < 10
    assert done.returncode == 0
    assert "not_all_stored" in done.stderr
    [orphan] = orphans(tmp_path / "journal")
    assert len(list(orphan.sealed())) == 52
    orphan.release()


def test_a_frozen_server_holds_up_no_exit(tmp_path):
    """A listener that takes connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://postgres@127.0.0.1:{server.getsockname()[1]}/nowhere"
        program = "import auditmw.exits; auditmw.exits.EXIT_SECONDS = 0.5\n" + EXIT.replace(
            "argv[1])", "argv[1], journal_dir=sys.argv[2])"
        )
        started = time.monotonic()
        done = python(program, url, tmp_path / "journal", timeout=30)
        assert time.monotonic() - started < 10
        assert "not_all_stored" in done.stderr


def test_ctrl_c_in_the_middle_of_calls_loses_none_that_returned(tmp_path):
    url = f"sqlite:///{tmp_path}/audit.db"
    program = EXIT.replace("range(50)", "range(10**9)").replace(
        'with trail.call(action="a"):\n        pass',
        'with trail.call(action="a") as call:\n        pass\n    print(call.request_id, flush=True)',
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    lines = [child.stdout.readline() for _ in range(20)]
    child.send_signal(signal.SIGINT)
    lines += child.communicate(timeout=30)[0].splitlines()
    with AuditTrail(url) as trail:
        trail.sync.flush(10)
        stored = {entry.request_id for entry in trail.sync.query()}
        seqs = [
            e.seq for kind in ("llm", "control") for e in trail.sync.query(kind=kind) if e.writer != trail.sink.writer
        ]
    assert {line.strip() for line in lines if len(line.strip()) == 36} <= stored
    assert sorted(seqs) == list(range(1, len(seqs) + 1))


def test_a_flush_after_the_store_was_replaced_by_one_that_works(make_trail, store):
    trail = make_trail()
    opened = store.open

    async def refuse(*, read_only=False):
        raise OSError("not yet")

    store.open = refuse
    record(trail)
    eventually(lambda: trail.health().last_store_error)
    store.open = opened
    trail.sync.flush(10)
    assert len(asyncio.run(store.entries(kind="llm"))) == 1
