"""An erasure of alice in a process that is killed before one of its steps."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

_SCRIPT: Final = """
import os, signal, sys
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.person import Person
from auditmw.stores.privacy import open_privacy

left = int(sys.argv[2])
def step(name):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
store = open_privacy(sys.argv[1])
with ControlLog(sys.argv[1]) as log:
    Erasure(log, store, wait_seconds=5, on_step=step).run(Person(user_id="alice"))
"""


def is_killed_at(url: str, step: int) -> bool:
    """Whether the erasure had so many steps before, and so was killed."""
    command = [sys.executable, "-c", _SCRIPT, url, str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode == -9
