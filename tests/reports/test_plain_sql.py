"""Plain PostgreSQL over `llm_audit_log`, as an operator writes it, agrees with the reports; retried calls included."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from msgspec import structs

from auditmw.entry import AuditEntry, to_us
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch

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
            moment = to_us(now - timedelta(hours=hours - 0.5)) + number  # half an hour away from every border
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
        at = to_us(now - timedelta(hours=hours - 0.5)) + 500 + number
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
def server(postgres_server):
    """The URL of a database of its own."""
    name = f"auditmw_plain_sql_{os.getpid()}"
    sql(postgres_server, f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    sql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def trail(server):
    """The URL of a trail with all of that, a retried call's attempts far apart in it."""
    made = attempts(datetime.now(UTC).replace(microsecond=0))
    made.sort(key=lambda entry: entry.attempt)

    async def fill():
        store = store_for(server)
        await store.open()
        for start in range(0, len(made), 500):
            part = made[start : start + 500]
            batch = [structs.replace(entry, writer="w", seq=start + n) for n, entry in enumerate(part, start=1)]
            await store.append(Batch("w", start + 1, batch))
        await store.close()

    asyncio.run(fill())
    return server


def sql(url, statement):
    """The rows of a statement, as an operator's client in UTC gives them."""

    async def ask():
        db = await asyncpg.connect(url, server_settings={"TimeZone": "UTC"})
        try:
            return [dict(row) for row in await db.fetch(statement)]
        finally:
            await db.close()

    return asyncio.run(ask())


def report(url, *arguments):
    """The rows of `auditmw report`."""
    command = [sys.executable, "-m", "auditmw", "report", *arguments, "--db", url, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_daily_cost_by_user_agrees(trail):
    asked = sql(trail, DAILY_COST_BY_USER)
    told = report(trail, "cost", "--by", "user,day", "--since=-30d")
    assert len(asked) > 100
    assert {(row["user_id"], str(row["day"])): (row["calls"], row["cost"]) for row in asked} == {
        (row["user_id"], row["day"]): (row["calls"], row["cost_usd"] and Decimal(row["cost_usd"])) for row in told
    }


def test_unusually_high_usage_agrees(trail):
    asked = sql(trail, UNUSUAL_USAGE)
    assert [row["request_id"] for row in asked] == ["huge-0", "huge-1", "huge-2"]
    told = report(trail, "anomalies", "--since=-7d")
    found = {row["request_id"] for row in told}
    assert {row["request_id"] for row in asked} <= found
    # the report counts what every attempt used: beside the three it finds calls that were tried again, and no other
    assert all("." in request_id for request_id in found - {row["request_id"] for row in asked})


def test_the_error_rate_by_model_agrees(trail):
    asked = sql(trail, ERROR_RATE_BY_MODEL)
    told = report(trail, "errors", "--by", "model", "--since=-24h")
    assert sum(row["errors"] for row in asked) > 0
    assert {row["model"]: (row["calls"], row["errors"], round(float(row["rate"]), 6)) for row in asked} == {
        row["model"]: (row["calls_sent"], row["errors"], round(row["error_rate"], 6)) for row in told
    }


def test_a_call_that_was_tried_again_counts_once_with_the_cost_of_all_its_attempts(trail):
    (counts,) = sql(
        trail,
        "SELECT (SELECT count(*) FROM llm_audit_log) AS calls, (SELECT count(*) FROM llm_audit_attempts) AS attempts, "
        "(SELECT sum(cost_usd) FROM llm_audit_log) AS cost, (SELECT sum(cost_usd) FROM llm_audit_attempts) AS in_all",
    )
    assert counts["attempts"] > counts["calls"] * 1.3
    assert counts["cost"] == counts["in_all"]
