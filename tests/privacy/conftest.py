"""Trails in SQLite and PostgreSQL with people in them."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from auditmw.entry import AuditEntry
from auditmw.privacy.control import ControlLog
from auditmw.rolling import roll
from auditmw.stores import store_for
from auditmw.stores.privacy import open_privacy
from auditmw.stores.protocol import Batch, Filter
from auditmw.verification import verify_trail

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch, tmp_path):
    for name in ("AUDITMW_DB", "AUDITMW_KEY", "AUDITMW_KEY_FILE", "AUDITMW_SIGNING_KEY", "AUDITMW_JOURNAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def make_entry() -> Callable[..., AuditEntry]:
    """An entry with values in every class."""

    def make(number: int, **fields) -> AuditEntry:
        values = {
            "request_id": f"r{number}",
            "timestamp_us": time.time_ns() // 1000 + number,
            "call_id": f"r{number}",
            "action": "ask",
            "user_id": "alice",
            "session_id": f"session-{number}",
            "model": "claude-opus-4",
            "input_tokens": number,
            "input_hash": f"{number:064x}",
            "output_hash": "03" * 32,
            "error_message": f"it failed for the {number}th time",
            "metadata": {"number": number},
        }
        return AuditEntry(**{**values, **fields})

    return make


class Trail:
    """A stored trail."""

    def __init__(self, url: str) -> None:
        self.url = url

    def append(self, writer: str, entries: list[AuditEntry], first_seq: int = 1) -> None:
        async def append() -> None:
            store = store_for(self.url)
            await store.open()
            for start in range(0, len(entries), 1000):
                await store.append(Batch(writer, first_seq + start, entries[start : start + 1000]))
            await store.close()

        asyncio.run(append())

    def entries(self, **wanted) -> list[AuditEntry]:
        async def read() -> list[AuditEntry]:
            store = store_for(self.url)
            await store.open(read_only=True)
            found = [entry async for entry in store.query(Filter(**wanted))]
            await store.close()
            return found

        return asyncio.run(read())

    def controls(self, action: str) -> list[AuditEntry]:
        return self.entries(kind="control", action=action)

    def roll(self) -> None:
        async def rolled() -> None:
            store = store_for(self.url)
            await store.open()
            while await roll(store.rollups):
                pass
            await store.close()

        asyncio.run(rolled())

    def select(self, sql: str) -> list[tuple]:
        if self.url.startswith("postgres"):
            return [tuple(row) for row in run_postgres(self.url, sql)]
        db = sqlite3.connect(self.url.removeprefix("sqlite:///"))
        rows = db.execute(sql).fetchall()
        db.close()
        return rows

    def change(self, sql: str) -> None:
        """Change the database behind the trail's back."""
        if self.url.startswith("postgres"):
            run_postgres(self.url, sql)
            return
        db = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
        db.execute(sql)
        db.close()

    def rolled(self) -> list[tuple]:
        """Users and their calls, as the rollups know them."""
        return self.select("SELECT user_id, sum(calls) FROM audit_rollup_day GROUP BY 1 ORDER BY 1")

    def verify(self, **options):
        return verify_trail(self.url, **options)


@pytest.fixture(params=["sqlite", "postgres"])
def trail(request, tmp_path) -> Trail:
    """A trail without entries."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/audit.db"
    trail = Trail(url)
    trail.append("nobody", [])
    return trail


@pytest.fixture
def privacy(trail) -> Iterator[object]:
    store = open_privacy(trail.url)
    yield store
    store.close()


@pytest.fixture
def log(trail) -> Iterator[ControlLog]:
    with ControlLog(trail.url) as log:
        yield log


@pytest.fixture
def postgres_url(postgres_server) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database."""
    name = f"auditmw_privacy_{os.getpid()}_{next(_numbers)}"
    run_postgres(postgres_server, f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    run_postgres(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def run_postgres(url: str, sql: str):
    async def run():
        db = await asyncpg.connect(url)
        try:
            return await db.fetch(sql)
        finally:
            await db.close()

    return asyncio.run(run())


@pytest.fixture
def postgres_query() -> Callable[[str, str], list]:
    return run_postgres
