"""What all store tests share: one store of each kind, entries, a clock that stands still."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from auditmw.entry import AuditEntry, to_datetime, to_us
from auditmw.log.leaf import leaf_hash
from auditmw.stores import store_for
from auditmw.stores.jsonl import JsonlStore
from auditmw.stores.memory import MemoryStore
from auditmw.stores.protocol import Batch, Filter
from auditmw.stores.sqlite import SqliteStore
from auditmw.testing.clock import FakeClock
from auditmw.verification import verify_trail

NOON_US = 1_795_176_000_000_000
_numbers = itertools.count()


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return FakeClock(to_datetime(NOON_US + 123_456))


@pytest.fixture
def make_entry() -> Callable[..., AuditEntry]:
    """An entry with every field filled, apart from what is given."""

    def make(number: int = 0, **fields) -> AuditEntry:
        values = {
            "request_id": f"r{number}",
            "timestamp_us": NOON_US + number * 1_000_003,
            "call_id": f"r{number}",
            "parent_id": "p",
            "kind": "llm",
            "action": "support.answer",
            "logged_at_us": NOON_US + number * 1_000_003 + 17,
            "latency_us": 1_234_567,
            "ttft_us": 89_001,
            "user_id": f"user-{number % 3}",
            "subject": "s",
            "session_id": "session",
            "client_ip_hash": "ab" * 32,
            "tenant": "acme",
            "app": "app",
            "app_version": "1",
            "host": "host",
            "provider": "anthropic",
            "model": "claude-opus-4",
            "response_model": "claude-opus-4-1",
            "stream": True,
            "stop_reason": "end_turn",
            "tool_names": ["search", "suche\u00e9\U0001f600"],
            "service_tier": "standard",
            "params_hash": "cd" * 32,
            "input_tokens": 100 + number,
            "cache_read_tokens": 0,
            "cache_write_5m_tokens": 3,
            "cache_write_1h_tokens": 4,
            "output_tokens": 50,
            "thinking_tokens": 7,
            "usage_complete": False,
            "usage_raw": {"input_tokens": 100, "nested": {"b": [1, None, 1.5], "a": "\u2028"}},
            "cost_nano": 1_234_567,
            "cost_status": "priced",
            "price_source": "genai-prices",
            "unit_prices": {"input": "3", "output": "15"},
            "system_prompt_hash": "01" * 32,
            "input_hash": "02" * 32,
            "output_hash": "03" * 32,
            "hash_key_id": "key",
            "sanitization_count": 2,
            "sanitization": {"EMAIL": 1, "PHONE": 1},
            "sanitizer_rules": "rules",
            "purpose": "support",
            "legal_basis": "contract",
            "status": "success",
            "error_type": "E",
            "error_message": 'it said "no"\n',
            "http_status": 200,
            "audit_errors": 1,
            "provider_request_id": "req_1",
            "response_id": "msg_1",
            "trace_id": "0" * 32,
            "span_id": "0" * 16,
            "metadata": {"team": "x", "z": {}, "a": [True, False]},
            "extra": {"newer": 1},
        }
        return AuditEntry(**{**values, **fields})

    return make


@pytest.fixture
def make_batch(make_entry) -> Callable[..., Batch]:
    """`count` entries of one writer from `first_seq` on."""

    def make(writer: str = "w1", first_seq: int = 1, count: int = 3, **fields) -> Batch:
        entries = [make_entry(first_seq + n, writer=writer, seq=first_seq + n, **fields) for n in range(count)]
        return Batch(writer, first_seq, entries)

    return make


@pytest.fixture(scope="session")
def postgres_template(postgres_server) -> Iterator[str]:
    """The name of a database that holds an empty trail, to be copied.

    Not async: an async fixture of the session would keep its loop, and later tests could start none of their own.
    """
    name = f"auditmw_template_{os.getpid()}"
    asyncio.run(run_sql(postgres_server, f"CREATE DATABASE {name}"))
    asyncio.run(make_trail(database_url(postgres_server, name)))
    yield name
    asyncio.run(run_sql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


async def make_trail(url: str) -> None:
    store = store_for(url)
    await store.open()
    await store.close()


@pytest.fixture
async def empty_database_url(postgres_server) -> AsyncIterator[str]:
    """The URL of a fresh PostgreSQL database without anything in it."""
    async with new_database(postgres_server, "template1") as url:
        yield url


@pytest.fixture
async def postgres_url(postgres_server, postgres_template) -> AsyncIterator[str]:
    """The URL of a fresh PostgreSQL database with an empty trail."""
    async with new_database(postgres_server, postgres_template) as url:
        yield url


@asynccontextmanager
async def new_database(server: str, template: str) -> AsyncIterator[str]:
    name = f"auditmw_{os.getpid()}_{next(_numbers)}"
    await run_sql(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield database_url(server, name)
    await run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def database_url(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


async def run_sql(url: str, sql: str) -> None:
    db = await asyncpg.connect(url)
    await db.execute(sql)
    await db.close()


@pytest.fixture(params=["memory", "jsonl", "sqlite", "postgres"])
def make_store(request, tmp_path, clock) -> Callable[[], object]:
    """Makes stores of one kind that all hold the same trail; not opened yet."""
    if request.param == "memory":
        store = MemoryStore(clock)
        return lambda: store
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        return lambda: store_for(url)
    if request.param == "jsonl":
        return lambda: JsonlStore(str(tmp_path / "audit"), clock)
    return lambda: SqliteStore(str(tmp_path / "audit.db"), clock)


@pytest.fixture
async def store(make_store) -> AsyncIterator[object]:
    store = make_store()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def read() -> Callable[..., object]:
    """All entries that fit, as a list."""

    async def read(store, **wanted) -> list[AuditEntry]:
        return [entry async for entry in store.query(Filter(**wanted))]

    return read


@pytest.fixture
def check_leaves(request) -> Callable[[object], Awaitable[None]]:
    """Checks that each entry's leaf is that of what is stored, and that the tree, where there is one, is theirs."""

    async def check(store) -> None:
        if isinstance(store, MemoryStore):
            assert [leaf.hash for leaf in store._leaves] == [leaf_hash(leaf.row, leaf.salts) for leaf in store._leaves]
            return
        if isinstance(store, SqliteStore):
            url = f"sqlite:///{store._path}"
        elif isinstance(store, JsonlStore):
            url = f"jsonl:///{store._directory}"
        else:
            url = request.getfixturevalue("postgres_url")
        report = await asyncio.to_thread(verify_trail, url)
        assert (report.findings, report.verdict) == ([], "self-consistent")

    return check


@pytest.fixture
async def month(postgres_url, make_entry):
    """A call each hour of 40 days, every tenth of them with a failed first attempt, the latest one huge."""
    store = store_for(postgres_url)
    await store.open()
    now_us = to_us(datetime.now(UTC))
    entries = []
    for hours in range(40 * 24, 0, -1):
        fields = {
            "timestamp_us": now_us - hours * 3_600_000_000 + 1_800_000_000,
            "user_id": f"u{hours % 5}",
            "model": f"m{hours % 2}",
            "input_tokens": 100 + hours % 7 if hours > 1 else 5000,
        }
        number = len(entries)
        if hours % 10 == 0:
            entries.append(make_entry(number, **fields, status="error", cost_nano=None, latency_us=5))
            fields |= {"call_id": f"r{number}", "attempt": 1}
        entries.append(make_entry(len(entries), **fields, cost_nano=1_000_000 + hours, latency_us=2000))
    await store.append(Batch("w1", 1, entries))
    await store.close()
    return entries
