"""The retention run in its short form; the long one is `retention.py --rows 1000000`."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "retention.py"


def test_expired_entries_go_while_somebody_writes_and_memory_stays_flat():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--rows", "20000"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["memory_grown_mb"] < 50
    assert result["findings"] == 0
