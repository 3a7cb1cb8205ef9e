"""Attacks and faults 35 to 45: many writers, crashes, and a second implementation. Those that concern the journal are
in tests/journal and tests/acceptance."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from auditmw import AuditTrail
from auditmw.log.keys import Ed25519Signer
from auditmw.log.merkle import EMPTY_ROOT
from auditmw.signing import Rhythm
from auditmw.signing_keys import write_signing_key
from auditmw.verification import verify_trail

WRITE = """
import sys
from auditmw import AuditTrail
from auditmw.signing import Rhythm

url, key, calls, journal = sys.argv[1:]
rhythm = Rhythm(entries=40)
with AuditTrail(url, signing_key=key, checkpoint_rhythm=rhythm, journal_dir=journal) as trail:
    print("ready", flush=True)
    for number in range(int(calls)):
        with trail.call(action="ask", user_id=f"u{number}") as call:
            call.metadata["number"] = number
"""


@pytest.fixture
def key(tmp_path, signer):
    path = tmp_path / "key"
    write_signing_key(path, signer)
    return path


@pytest.fixture
def writer(key):
    """Starts a process that makes calls and signs."""
    with contextlib.ExitStack() as stack:

        def start(trail, calls, journal):
            command = [sys.executable, "-c", WRITE, trail.url, str(key), str(calls), str(journal)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            return stack.enter_context(process)

        yield start


def test_35_a_thousand_calls_at_once_give_a_trail_that_verifies(tmp_path):
    url = f"sqlite:///{tmp_path / 'trail.db'}"

    async def run():
        async with AuditTrail(url) as trail:

            async def ask(number):
                async with trail.call(action="ask", user_id=f"u{number}"):
                    await asyncio.sleep(0)

            await asyncio.gather(*(ask(number) for number in range(1000)))

    asyncio.run(run())
    report = verify_trail(url)
    assert (report.verdict, report.entries) == ("self-consistent", 1002)


def test_36_a_verifier_beside_many_writing_processes_never_gives_a_false_alarm(copies, writer, signer, tmp_path):
    trail = copies.empty()
    processes = 8 if not trail.is_sqlite else 4
    writers = [writer(trail, 150, tmp_path / f"journal{number}") for number in range(processes)]
    verdicts = []
    while any(one.poll() is None for one in writers):
        report = trail.verify(signer)
        assert report.findings == []
        verdicts.append(report.verdict)
    assert [one.wait() for one in writers] == [0] * processes
    report = trail.verify(signer, held=trail.checkpoints())
    assert (report.verdict, report.entries) == ("verified", processes * 152)
    assert (report.complete.closed, report.complete.open, report.signed.unanchored) == (processes, [], 0)
    assert set(verdicts) <= {"empty", "cannot tell", "verified"}


def test_37_a_fork_writes_nothing_twice(tmp_path):
    url = f"sqlite:///{tmp_path / 'trail.db'}"
    code = f"""
import os
from auditmw import AuditTrail
trail = AuditTrail({url!r})
trail.start()
for number in range(300):
    with trail.call(action="before"):
        pass
trail.sync.flush()
child = os.fork()
for number in range(50):
    with trail.call(action="child" if child == 0 else "parent"):
        pass
trail.close()
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60, stderr=subprocess.DEVNULL)
    report = verify_trail(url)
    assert (report.verdict, report.complete.writers, report.complete.closed) == ("self-consistent", 2, 2)
    assert report.entries == 300 + 50 + 50 + 4


def test_38_a_killed_writer_leaves_a_trail_that_verifies_and_goes_on(copies, writer, signer, tmp_path):
    trail, journal, rng = copies.empty(), tmp_path / "journal", random.Random(38)
    for _ in range(3):
        one = writer(trail, 100_000, journal)
        assert one.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            one.wait(rng.uniform(0.05, 0.4))
        os.kill(one.pid, signal.SIGKILL)
        one.wait()
        assert trail.verify(signer).findings == []
    assert writer(trail, 1, journal).wait() == 0
    report = trail.verify(signer)
    assert (report.verdict, report.complete.crashed, report.complete.open) == ("verified", 3, [])


def test_12_a_restored_backup_is_refused_by_the_signer_and_alarmed(tmp_path):
    url, path = f"sqlite:///{tmp_path / 'trail.db'}", tmp_path / "trail.db"
    with AuditTrail(url):
        pass
    reader = sqlite3.connect(path)
    ((origin,),) = reader.execute("SELECT origin FROM audit_trail")
    reader.close()
    key = tmp_path / "elsewhere" / "key"
    write_signing_key(key, Ed25519Signer(origin, bytes(32)))
    with AuditTrail(url, signing_key=key):
        pass
    shutil.copy(path, tmp_path / "backup.db")
    with AuditTrail(url, signing_key=key) as trail, trail.call(action="lost"):
        pass
    shutil.copy(tmp_path / "backup.db", path)
    with AuditTrail(url, signing_key=key, checkpoint_rhythm=Rhythm(entries=1)) as trail:
        with trail.call(action="after"):
            pass
        trail.sync.flush()
    assert "checkpoints are not signed: the trail" in trail.health().warnings[0]
    assert not trail.health().ok


def test_45_another_implementation_gives_the_same_root(trail):
    pymerkle = pytest.importorskip("pymerkle")
    reader = trail.hashes()
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    assert trail.head().root != EMPTY_ROOT
    rows = leaves(trail)
    for data in rows:
        tree.append_entry(data)
    assert tree.get_root() == trail.head().root
    assert len(rows) == len(reader)


def leaves(trail):
    """The bytes under every leaf, as an independent reader of the columns would make them."""
    from auditmw.log.leaf import leaf_bytes
    from auditmw.stores.evidence import open_evidence

    reader = open_evidence(trail.url)
    rows = reader.chunk(0, 620).rows
    reader.close()
    return [leaf_bytes(row.values, row.salts, row.erased) for row in rows]


def test_10000_random_changes_of_stored_values_are_found(tmp_path):
    """In its short form; `--rounds 10000` is the long one."""
    script = Path(__file__).parents[1] / "acceptance" / "random_changes.py"
    command = [sys.executable, str(script), "--rounds", "300"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "300 changes, 0 failures" in done.stdout
