"""The fault scripts in their short form; each of them says in its docstring how to run the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("where", [(), ("--postgres",)], ids=["sqlite", "postgres"])
def test_a_killed_application_loses_nothing_doubles_nothing_and_sends_nothing_untraced(where):
    assert "stored twice: 0" in run("sigkill.py", "--rounds", "8", *where)


def test_an_outage_of_postgres_costs_nothing_but_disk():
    assert "lost: 0   doubled: 0" in run("outage.py", "--seconds", "3")


def test_many_processes_and_threads_leave_every_sequence_complete():
    said = run("processes.py", "--processes", "8", "--threads", "4", "--calls", "25")
    assert "by 8 writers" in said
    assert "lost: 0   doubled: 0   incomplete sequences: 0" in said
    assert "verification: sound" in said


def test_memory_stays_flat_while_entries_wait():
    assert "30,001 entries waiting, none dropped: True" in run("memory.py", "--entries", "30000")


def test_a_commit_of_unknown_fate_lands_once():
    assert "lost: 0, doubled: 0" in run("commit_fate.py", "--rounds", "10")


@pytest.mark.parametrize("where", [(), ("--postgres",)], ids=["sqlite", "postgres"])
def test_a_killed_shipper_loses_and_doubles_nothing(where):
    assert "lost: 0   doubled: 0" in run("shipping.py", "--kills", "4", *where)
