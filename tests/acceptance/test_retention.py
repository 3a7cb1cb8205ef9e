"""The retention benchmark in its short form, on both databases; the long one is `--entries 1000000`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_retain.py"


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_expired_entries_go_while_somebody_writes_and_memory_stays_flat(store):
    command = [sys.executable, SCRIPT, "--entries", "20000", "--stores", store]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["whole"]["gone"] >= 20_000
    assert max(result[phase]["memory_grown_mb"] for phase in ("classes", "whole")) < 50
    assert result["verify"]["pruned"] >= 20_000
