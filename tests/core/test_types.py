from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_decorated_functions_and_wrapped_clients_keep_their_types():
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typing", "--follow-imports=silent", "--warn-unused-ignores"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
