"""Faults made for real: a full disk, a file-size limit, SIGKILL, fork."""

import os
import shutil
import signal
import struct
import subprocess
import sys

import pytest

from auditmw.errors import JournalError
from auditmw.journal import Follower, Journal, orphans
from auditmw.journal import chain as chain_module
from auditmw.journal import segment as segment_module


def rid(number: int) -> bytes:
    return number.to_bytes(16, "big")


def run(program: str, directory) -> str:
    done = subprocess.run([sys.executable, "-c", program, str(directory)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


FILL = """
import resource, sys
from pathlib import Path
from auditmw.errors import JournalError
from auditmw.journal import Journal

directory = Path(sys.argv[1])
journal = Journal(directory, segment_bytes=20_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_001, resource.RLIM_INFINITY))
refused = 0
for seq in range(1, 21):
    journal.append_intent(seq.to_bytes(16, "big"), b"")
    try:
        journal.append_sealed(seq, seq.to_bytes(16, "big"), bytes(900))
    except JournalError as error:
        assert "File too large" in str(error) and "free disk space" in str(error), error
        refused += 1
        break
size = sum(path.stat().st_size for path in directory.glob("*.journal"))
assert size == journal.bytes_used, (size, journal.bytes_used)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for seq in range(seq + 1, seq + 6):
    journal.append_sealed(seq, seq.to_bytes(16, "big"), bytes(900))
print(refused, journal.open_intents, flush=True)
import os; os._exit(0)
"""


def test_a_write_cut_short_by_a_size_limit_leaves_no_trace_and_the_next_one_succeeds(directory):
    assert run(FILL, directory).split() == ["1", "0"]
    [orphan] = orphans(directory)
    assert [record.seq for record in orphan.sealed()] == [*range(1, 11), *range(12, 17)]
    assert orphan.torn == ()
    assert orphan.open_intents == ()
    orphan.release()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    mountpoint = tmp_path / "disk"
    mountpoint.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mountpoint)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted only by root")
    yield mountpoint
    subprocess.run(["umount", "--lazy", str(mountpoint)], check=True)


def test_a_full_disk_is_an_error_and_everything_taken_before_is_there(small_disk):
    journal = Journal(small_disk / "journal", segment_bytes=50_000)

    def fill() -> None:
        while True:
            journal.append_sealed(journal.last_seq + 1, rid(1), bytes(1000))

    with pytest.raises(JournalError, match="No space left"):
        fill()
    taken = journal.last_seq - 1
    assert 200 < taken < 256
    with pytest.raises(JournalError, match="No space left"):
        journal.append_sealed(taken + 2, rid(1), bytes(5000))
    with pytest.raises(JournalError, match="No space left"):
        Journal(small_disk / "other")
    journal.acknowledge(taken // 2)
    journal.append_sealed(taken + 3, rid(1), bytes(5000))
    journal.close()
    [orphan] = orphans(small_disk / "journal")
    assert [record.seq for record in orphan.sealed()] == [*range(taken // 2 + 1, taken + 1), taken + 3]
    assert orphan.torn == ()
    orphan.remove()


def test_an_attempt_that_ended_while_the_disk_was_full_is_not_found_in_flight_later(small_disk):
    journal = Journal(small_disk / "journal")
    journal.append_intent(rid(1), b"")
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(300_000))
    with pytest.raises(JournalError):
        journal.append_sealed(1, rid(1), bytes(5000))
    assert journal.open_intents == 0
    filler.unlink()
    journal.append_sealed(2, rid(2), b"")
    journal.close()
    [orphan] = orphans(small_disk / "journal")
    assert orphan.open_intents == ()
    assert [record.seq for record in orphan.sealed()] == [2]
    orphan.remove()


def test_behind_a_part_that_could_not_be_cut_off_nothing_is_written(directory, crashed, monkeypatch):
    journal = Journal(directory)
    journal.append_sealed(1, rid(1), b"one")
    real_write = os.write
    calls = []

    def write(fd, content, _length):
        calls.append(content)
        if len(calls) == 1:
            return real_write(fd, content[:10])
        raise OSError(5, "Input/output error")

    def ftruncate(fd, length):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(segment_module, "_write", write)
        patch.setattr(os, "ftruncate", ftruncate)
        with pytest.raises(JournalError, match="Input/output error"):
            journal.append_sealed(2, rid(2), b"two")
        with pytest.raises(JournalError, match="Input/output error"):
            journal.append_sealed(3, rid(3), b"three")
    journal.append_sealed(3, rid(3), b"three")
    [orphan] = orphans(crashed(directory))
    assert [record.payload for record in orphan.sealed()] == [b"one", b"three"]
    assert [torn.length for torn in orphan.torn] == [10]
    orphan.release()
    journal.close()


def test_an_entry_that_could_not_be_written_may_be_tried_again_until_a_later_one_is(
    journal, directory, crashed, monkeypatch
):
    journal.append_sealed(1, rid(1), b"one")
    with monkeypatch.context() as patch:
        patch.setattr(segment_module, "_write", lambda *_: -1)
        for seq in (2, 3):
            with pytest.raises(JournalError):
                journal.append_sealed(seq, rid(seq), b"never")
    assert journal.last_seq == 3
    journal.append_sealed(2, rid(2), b"two")
    with pytest.raises(ValueError, match="seq 2"):
        journal.append_sealed(2, rid(2), b"twice")
    journal.append_sealed(3, rid(3), b"three")
    [orphan] = orphans(crashed(directory))
    assert [record.payload for record in orphan.sealed()] == [b"one", b"two", b"three"]
    orphan.release()


def test_an_entry_whose_write_was_interrupted_when_it_was_done_keeps_its_number(
    journal, directory, crashed, monkeypatch
):
    real_write = os.write

    def write(fd, content, _length):
        real_write(fd, content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(segment_module, "_write", write)
        with pytest.raises(KeyboardInterrupt):
            journal.append_sealed(1, rid(1), b"one")
    with pytest.raises(ValueError, match="seq 1"):
        journal.append_sealed(1, rid(2), b"two")
    journal.append_sealed(2, rid(2), b"two")
    [orphan] = orphans(crashed(directory))
    assert [record.payload for record in orphan.sealed()] == [b"one", b"two"]
    orphan.release()


def test_a_slow_write_is_counted(journal, monkeypatch):
    times = iter([0.0, 0.051, 1.0, 1.049])
    monkeypatch.setattr(chain_module.time, "monotonic", lambda: next(times))
    journal.append_intent(rid(1), b"")
    journal.append_intent(rid(2), b"")
    monkeypatch.undo()
    assert journal.slow_writes == 1


WRITE_FOR_EVER = """
import os, struct, sys, threading
from pathlib import Path
from auditmw.journal import Journal

journal = Journal(Path(sys.argv[1]), segment_bytes=30_000, disk=len(sys.argv) > 2)
numbering, telling = threading.Lock(), threading.Lock()

def work():
    while True:
        request_id = os.urandom(16)
        journal.append_intent(request_id, b"intent")
        tell(b"I", 0, request_id)
        with numbering:
            seq = journal.last_seq + 1
            journal.append_sealed(seq, request_id, request_id * 40)
            tell(b"S", seq, request_id)
            if seq % 100 == 0:
                tell(b"A", seq - 30, bytes(16))
                journal.acknowledge(seq - 30)

def tell(kind, seq, request_id):
    with telling:
        os.write(1, struct.pack("<cQ16s", kind, seq, request_id))

for _ in range(4):
    threading.Thread(target=work).start()
"""
TOLD = struct.Struct("<cQ16s")


@pytest.mark.parametrize("records", [1, 70, 333, 1_500, 6_000])
def test_after_sigkill_everything_that_was_acknowledged_is_read_back(directory, records):
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(directory)], stdout=subprocess.PIPE)
    told = child.stdout.read(records * TOLD.size)
    child.kill()
    told += child.stdout.read()
    child.wait()
    child.stdout.close()
    told = told[: len(told) // TOLD.size * TOLD.size]
    intents, sealed, acknowledged = set(), {}, 0
    for kind, seq, request_id in TOLD.iter_unpack(told):
        if kind == b"I":
            intents.add(request_id)
        elif kind == b"S":
            sealed[seq] = request_id
        else:
            acknowledged = seq
    [orphan] = orphans(directory)
    found = {record.seq: record for record in orphan.sealed()}
    assert orphan.acknowledged <= acknowledged
    assert all(found[seq].payload == request_id * 40 for seq, request_id in sealed.items() if seq > acknowledged)
    traced = set(sealed.values()) | {record.request_id for record in [*found.values(), *orphan.open_intents]}
    assert intents <= traced
    assert not {record.request_id for record in orphan.open_intents} & set(sealed.values())
    assert list(found) == list(range(min(found, default=1), orphan.last_seq + 1))
    orphan.remove()


WRITE_FOR_A_SHIPPER = """
import os, sys
from pathlib import Path
from auditmw.journal import Journal

journal = Journal(Path(sys.argv[1]), external=True, segment_bytes=30_000)
while True:
    request_id = os.urandom(16)
    journal.append_intent(request_id, b"intent")
    journal.append_sealed(journal.last_seq + 1, request_id, request_id * 40)
    journal.refresh()
    os.write(1, request_id)
"""


@pytest.mark.parametrize("entries", [10, 3_000])
def test_a_shipper_and_the_recovery_after_it_give_every_entry_of_a_killed_process_once(directory, entries):
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOR_A_SHIPPER, str(directory)], stdout=subprocess.PIPE)
    told = child.stdout.read(16)
    shipped = []
    while len(shipped) < entries:
        with Follower(directory) as follower:  # a new one each time: the shipper is restarted over and over
            for writer_id, records in follower.read():
                shipped += records
                follower.acknowledge(writer_id, records[-1].seq)
        told += child.stdout.read(16 * 20)
    child.kill()
    told += child.stdout.read()
    child.wait()
    child.stdout.close()
    for orphan in orphans(directory):
        shipped += orphan.sealed()
        orphan.remove()
    assert [record.seq for record in shipped] == list(range(1, len(shipped) + 1))
    request_ids = [told[at : at + 16] for at in range(0, len(told) - 15, 16)]
    assert [record.request_id for record in shipped][: len(request_ids)] == request_ids
    assert len(shipped) - len(request_ids) <= 1


FORK = """
import os, signal, sys
from pathlib import Path
from auditmw.errors import JournalError
from auditmw.journal import Journal, orphans

directory = Path(sys.argv[1])
journal = Journal(directory, disk=True)
journal.synced(journal.append_sealed(1, bytes(16), b"parent")).result()
ready, told = os.pipe()
child = os.fork()
if child == 0:
    journal.after_fork()
    journal.after_fork()
    assert list(orphans(directory)) == []
    try:
        journal.append_intent(bytes(16), b"")
    except JournalError as error:
        assert "parent" in str(error)
    own = Journal(directory)
    own.append_sealed(1, bytes(16), b"child")
    os.write(told, b"x")
    signal.pause()
os.read(ready, 1)
assert list(orphans(directory)) == []
journal.append_sealed(2, bytes(16), b"parent")
print(child, journal.writer_id.hex(), flush=True)
os._exit(0)
"""


def test_a_forked_child_shares_nothing_and_does_not_keep_its_dead_parent_alive(directory):
    child, writer = run_and_leave_child(FORK, directory)
    try:
        [orphan] = orphans(directory)
        assert orphan.writer_id.hex() == writer
        assert [record.payload for record in orphan.sealed()] == [b"parent", b"parent"]
        orphan.remove()
    finally:
        os.kill(child, signal.SIGKILL)
    while not (left := list(orphans(directory))):  # until the kernel has closed the child's files
        pass
    assert [[record.payload for record in orphan.sealed()] for orphan in left] == [[b"child"]]
    left[0].remove()


def run_and_leave_child(program, directory):
    with subprocess.Popen(
        [sys.executable, "-c", program, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        line = parent.stdout.readline()
        assert parent.wait(timeout=30) == 0, parent.stderr.read()
    child, writer = line.split()
    return int(child), writer
