"""Trails over a store in memory that can be switched off, journals as a crash leaves them, processes of their own."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from auditmw import AuditEntry, AuditTrail
from auditmw.errors import PoisonEntry, StoreUnavailable
from auditmw.middleware import Writer
from auditmw.stores.memory import MemoryStore
from auditmw.stores.protocol import Batch, Filter


class SwitchedStore(MemoryStore):
    """The store in memory, which a test can switch off, and which refuses what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.on = True
        self.tries = 0
        self.refuses: Callable[[AuditEntry], bool] = lambda _: False
        self.refusal: Callable[[int], Exception] = lambda place: PoisonEntry("the store does not like it", place)

    async def append(self, batch: Batch) -> int:
        self.tries += 1
        if not self.on:
            raise StoreUnavailable("the store is switched off")
        for place, entry in enumerate(batch.entries):
            if self.refuses(entry):
                raise self.refusal(place)
        return await super().append(batch)

    async def entries(self, **wanted: Any) -> list[AuditEntry]:
        """Calls, then entries about the trail itself, unless a kind is wanted."""
        kinds = [wanted.pop("kind")] if "kind" in wanted else [None, "control"]
        return [entry for kind in kinds async for entry in self.query(Filter(kind=kind, **wanted))]

    async def seqs(self, writer: str) -> list[int]:
        """The numbers stored of a writer, in the order in which they were stored."""
        entries = [e for e in await self.entries() if e.writer == writer]
        return [e.seq or 0 for e in sorted(entries, key=lambda e: e.leaf_index or 0)]


@pytest.fixture
def store() -> SwitchedStore:
    return SwitchedStore()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def make_trail(
    store: SwitchedStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., AuditTrail]]:
    """Trails over `store`, journalling to `directory`; closed at the end whatever the test left."""
    monkeypatch.setattr("auditmw.trail.store_for", lambda url: store)
    with ExitStack() as stack:

        def make(**options: Any) -> AuditTrail:
            trail = AuditTrail("memory://", **{"journal_dir": directory, "pipeline": [Writer()], **options})
            stack.callback(trail.close, 0.3)
            return trail

        yield make


def record(trail: AuditTrail, action: str = "a", **fields: Any) -> str:
    """Record a block; gives its request id."""
    with trail.call(action=action, **fields) as call:
        pass
    return call.request_id


def eventually(holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something that another thread brings about holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


@pytest.fixture
def crashed(tmp_path: Path) -> Callable[[Path], Path]:
    """Gives a journal directory as another process finds it if the writer dies now: a copy is held by nobody."""

    def copy(directory: Path) -> Path:
        target = tmp_path / f"crashed-{sum(1 for _ in tmp_path.glob('crashed-*'))}"
        for _ in range(20):
            try:
                return Path(shutil.copytree(directory, target))
            except shutil.Error:  # the writer has removed a file meanwhile, which no death can do half
                shutil.rmtree(target)
        raise AssertionError("the journal never stands still")

    return copy


def python(program: str, *arguments: object, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    mountpoint = tmp_path / "disk"
    mountpoint.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mountpoint)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted only by root")
    yield mountpoint
    subprocess.run(["umount", "--lazy", str(mountpoint)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a small disk; gives the file that takes it."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(512)):
            pass
    return filler


_numbers = itertools.count()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database."""
    name = f"auditmw_writer_{os.getpid()}_{next(_numbers)}"
    sql(postgres_server, f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    sql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def sql(url: str, statement: str) -> list[Any]:
    """Run a statement on a connection of its own; gives its rows."""

    async def run() -> list[Any]:
        db = await asyncpg.connect(url)
        try:
            return list(await db.fetch(statement))
        finally:
            await db.close()

    return asyncio.run(run())
