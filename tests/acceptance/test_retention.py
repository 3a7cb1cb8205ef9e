"""The retention benchmark in its short form, on both databases; the long one is `--entries 1000000`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_retain.py"


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_expired_entries_go_while_somebody_writes_and_memory_stays_flat(store):
    command = [sys.executable, SCRIPT, "--entries", "8000", "--stores", store]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["whole"]["gone"] >= 8_000
    assert max(result[phase]["memory_grown_mb"] for phase in ("classes", "whole")) < 50
    assert result["verify"]["pruned"] >= 8_000


def test_the_process_that_writes_meanwhile_ends_with_the_one_that_started_it(tmp_path):
    url, times = f"sqlite:///{tmp_path}/audit.db", tmp_path / "batches"
    parent = (
        "import os, pathlib, signal, sys; sys.path.insert(0, sys.argv[1]); import bench_retain, time\n"
        "writer = bench_retain.Writer(sys.argv[2], pathlib.Path(sys.argv[3]))\n"
        "while not (path := writer._path).exists() or not path.read_text(): time.sleep(0.05)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", parent, SCRIPT.parent, url, tmp_path]
    output = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=False)  # until nobody has it open
    assert output.returncode == -signal.SIGKILL
    assert times.read_text()
