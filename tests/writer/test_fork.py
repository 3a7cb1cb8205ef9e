"""A forked child begins anew: its own writer id, journal, thread and connections; the parent's stay the parent's."""

import multiprocessing
import os
import threading
import time

import pytest

from auditmw import AuditTrail

from .conftest import python, record

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from 3.12 on


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/audit.db"


@pytest.fixture
def trail(url, directory):
    with AuditTrail(url, journal_dir=directory) as trail:
        yield trail


def in_child(work):
    """Run in a child made by os.fork, which ends as a process does; gives its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def stored(trail):
    trail.sync.flush(10)
    return list(trail.sync.query())


def test_parent_and_child_write_apart_and_nothing_is_lost_or_doubled(trail):
    for _ in range(10):
        record(trail, "parent")

    def child():
        for _ in range(10):
            record(trail, "child")
        trail.sync.flush(10)
        trail.close()

    assert in_child(child) == 0
    for _ in range(10):
        record(trail, "parent")
    entries = stored(trail)
    assert sorted(e.action for e in entries) == ["child"] * 10 + ["parent"] * 20
    assert len({e.writer for e in entries}) == 2
    assert len({e.writer for e in entries if e.action == "child"}) == 1


def test_a_child_of_a_trail_that_was_never_used_writes_too(url, directory):
    trail = AuditTrail(url, journal_dir=directory)

    def child():
        record(trail, "child")
        trail.close()

    assert in_child(child) == 0
    record(trail, "parent")
    assert sorted(e.action for e in stored(trail)) == ["child", "parent"]
    trail.close()


def test_calls_in_flight_at_the_fork_are_the_parents(trail):
    with trail.call(action="outer"):

        def child():
            record(trail, "child")
            trail.close()

        assert in_child(child) == 0
    entries = {e.action: e.status for e in stored(trail)}
    assert entries == {"outer": "success", "child": "success"}


def test_a_child_that_is_killed_leaves_its_journal_to_the_next_start(trail, url, directory):
    def child():
        record(trail, "child")
        os.kill(os.getpid(), 9)

    assert in_child(child) == -9
    assert "child" in {e.action for e in stored(trail)}


def test_a_fork_while_other_threads_record_cannot_lock_up_the_child(trail):
    stop = threading.Event()

    def load():
        while not stop.is_set():
            record(trail, "load")
            time.sleep(0.002)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):

            def child():
                record(trail, "child")
                trail.close()

            assert in_child(child) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sum(e.action == "child" for e in stored(trail)) == 5


def in_a_pool(number):
    record(POOLED[0], f"task {number}")
    return os.getpid()


POOLED = []


def test_a_pool_of_forked_workers_drains_at_its_end(trail):
    POOLED[:] = [trail]
    context = multiprocessing.get_context("fork")
    pool = context.Pool(3)
    pids = set(pool.map(in_a_pool, range(30), chunksize=2))
    pool.close()
    pool.join()
    entries = stored(trail)
    assert sorted(e.action for e in entries) == sorted(f"task {n}" for n in range(30))
    assert len({e.writer for e in entries}) == len(pids)


SYSTEM_EXIT = """
import os, sys
from auditmw import AuditTrail
trail = AuditTrail(sys.argv[1])
with trail.call(action="parent"):
    pass
pid = os.fork()
with trail.call(action="child" if pid == 0 else "parent"):
    pass
if pid == 0:
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_child_that_ends_as_a_program_drains_at_its_exit(tmp_path):
    url = f"sqlite:///{tmp_path}/audit.db"
    done = python(SYSTEM_EXIT, url, timeout=30)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "audit.db.auditmw").glob("*.journal"))
    with AuditTrail(url) as trail:
        assert sorted(e.action for e in trail.sync.query()) == ["child", "parent", "parent"]
