"""The views for ordinary SQL, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest

from auditmw.entry import to_datetime, to_us
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch

COLUMNS = [
    "request_id",
    "timestamp",
    "user_id",
    "model",
    "action",
    "system_prompt_hash",
    "input_tokens",
    "output_tokens",
    "thinking_tokens",
    "latency_ms",
    "cost_usd",
    "status",
    "error_message",
    "sanitization_count",
    "input_hash",
    "output_hash",
    "metadata",
    "created_at",
]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/audit.db"


@pytest.fixture
async def store(url):
    store = store_for(url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def ask(url):
    """Rows of a query, as dicts."""

    async def ask(sql):
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db:
                db.row_factory = sqlite3.Row
                return [dict(row) for row in db.execute(sql)]
        db = await asyncpg.connect(url)
        rows = [dict(row) for row in await db.fetch(sql)]
        await db.close()
        return rows

    return ask


async def calls(ask):
    rows = await ask("SELECT request_id, cost_usd FROM llm_audit_log ORDER BY request_id")
    return {
        row["request_id"]: row["cost_usd"] if row["cost_usd"] is None else round(row["cost_usd"], 9) for row in rows
    }


@pytest.mark.parametrize("view", ["llm_audit_log", "llm_audit_attempts"])
async def test_a_view_has_the_promised_columns_with_the_entrys_values(store, ask, make_entry, view):
    us = to_us(datetime(2026, 11, 24, 1, 2, 3, 40, tzinfo=UTC))
    await store.append(Batch("w1", 1, [make_entry(1, timestamp_us=us)]))
    (row,) = await ask(f"SELECT * FROM {view}")
    assert list(row) == COLUMNS
    timestamp, metadata = row["timestamp"], row["metadata"]
    assert timestamp in {to_datetime(us), "2026-11-24T01:02:03.000040Z"}
    assert json.loads(metadata) == {"team": "x", "z": {}, "a": [True, False]}
    assert float(row["latency_ms"]) == 1234.567
    assert round(row["cost_usd"], 9) in {Decimal("0.001234567"), 0.001234567}
    assert row["thinking_tokens"] == 7


async def test_a_call_is_one_row_its_last_attempt_with_the_cost_of_all(store, ask, make_entry):
    entries = [
        make_entry(1, call_id="r1", attempt=0, cost_nano=1_000_000_000, status="incomplete"),
        make_entry(2, call_id="r1", attempt=1, cost_nano=None, status="error"),
        make_entry(3, call_id="r1", attempt=2, cost_nano=20_000_000_000),
        make_entry(4, cost_nano=300_000_000_000),
    ]
    await store.append(Batch("w1", 1, entries))
    assert await calls(ask) == {"r3": 21, "r4": 300}
    (count,) = await ask("SELECT count(*) AS n FROM llm_audit_attempts")
    assert count == {"n": 4}


async def test_attempts_of_several_writers_and_out_of_order_are_one_call(store, ask, make_entry):
    await store.append(Batch("w2", 1, [make_entry(3, call_id="r1", attempt=2, cost_nano=4_000_000_000)]))
    await store.append(Batch("w1", 1, [make_entry(1, call_id="r1", attempt=0, cost_nano=1_000_000_000)]))
    await store.append(Batch("w3", 1, [make_entry(2, call_id="r1", attempt=1, cost_nano=2_000_000_000)]))
    assert await calls(ask) == {"r3": 7}


async def test_a_call_whose_id_is_no_entrys_is_one_row_too(store, ask, make_entry):
    entries = [
        make_entry(1, call_id="x", attempt=0, cost_nano=1_000_000_000),
        make_entry(2, call_id="x", attempt=1, cost_nano=2_000_000_000),
        make_entry(3, call_id="batch:1", attempt=0, cost_nano=4_000_000_000),
        make_entry(4, call_id="r4", attempt=3, cost_nano=8_000_000_000),
        make_entry(5, call_id=None, attempt=1, cost_nano=16_000_000_000),
        make_entry(6, call_id=None, attempt=0, cost_nano=32_000_000_000),
    ]
    await store.append(Batch("w1", 1, entries))
    assert await calls(ask) == {"r2": 3, "r3": 4, "r4": 8, "r5": 16, "r6": 32}


async def test_a_cost_that_is_not_known_stays_unknown(store, ask, make_entry):
    entries = [
        make_entry(1, call_id="r1", attempt=0, cost_nano=None),
        make_entry(2, call_id="r1", attempt=1, cost_nano=None),
        make_entry(3, cost_nano=None),
        make_entry(4, cost_nano=0),
    ]
    await store.append(Batch("w1", 1, entries))
    assert await calls(ask) == {"r2": None, "r3": None, "r4": 0}


async def test_only_calls_of_models_count(store, ask, make_entry):
    kinds = ["llm", "request", "function", "control"]
    await store.append(Batch("w1", 1, [make_entry(n, kind=kind) for n, kind in enumerate(kinds, start=1)]))
    assert list(await calls(ask)) == ["r1"]


DAILY_COST = """
SELECT user_id, DATE(timestamp) AS day, COUNT(*) AS calls, SUM(cost_usd) AS total_cost, AVG(latency_ms) AS avg_latency
FROM llm_audit_log
WHERE timestamp >= NOW() - INTERVAL '30 days'
GROUP BY user_id, DATE(timestamp)
ORDER BY total_cost DESC
"""
UNUSUAL = """
SELECT request_id, user_id, input_tokens
FROM llm_audit_log
WHERE timestamp >= NOW() - INTERVAL '7 days'
  AND input_tokens > (
    SELECT AVG(input_tokens) + 3 * STDDEV(input_tokens)
    FROM llm_audit_log
    WHERE timestamp >= NOW() - INTERVAL '7 days'
  )
"""
ERROR_RATE = """
SELECT model, COUNT(*) AS total, COUNT(*) FILTER (WHERE status = 'error') AS errors,
       ROUND(100.0 * COUNT(*) FILTER (WHERE status = 'error') / COUNT(*), 2) AS error_rate
FROM llm_audit_log
WHERE timestamp >= NOW() - INTERVAL '24 hours'
GROUP BY model
ORDER BY error_rate DESC
"""


async def test_the_daily_cost_by_user_is_ordinary_sql(postgres_url, month):
    db = await asyncpg.connect(postgres_url, server_settings={"timezone": "UTC"})
    rows = await db.fetch(DAILY_COST)
    since_us = to_us(datetime.now(UTC) - timedelta(days=30))
    recent = [entry for entry in month if entry.timestamp_us >= since_us and entry.status == "success"]
    expected = {}
    for entry in recent:
        key = (entry.user_id, entry.timestamp.date())
        expected[key] = expected.get(key, 0) + entry.cost_usd
    assert {(row["user_id"], row["day"]): row["total_cost"] for row in rows} == expected
    assert sum(row["calls"] for row in rows) == len(recent) == 30 * 24
    assert {float(row["avg_latency"]) for row in rows} == {2.0}
    await db.close()


async def test_unusually_high_token_usage_is_ordinary_sql(postgres_url, month):
    db = await asyncpg.connect(postgres_url)
    assert [row["request_id"] for row in await db.fetch(UNUSUAL)] == [month[-1].request_id]
    await db.close()


async def test_the_error_rate_by_model_is_ordinary_sql_and_counts_calls(postgres_url, month):
    db = await asyncpg.connect(postgres_url)
    rows = {row["model"]: (row["total"], row["errors"]) for row in await db.fetch(ERROR_RATE)}
    assert rows == {"m0": (12, 0), "m1": (12, 0)}
    await db.close()
