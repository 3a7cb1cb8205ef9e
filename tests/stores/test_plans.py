"""Every index of a PostgreSQL trail serves a question: what the planner does with it."""

from __future__ import annotations

import asyncpg
import pytest

from auditmw.stores.filters import BY_CALL
from auditmw.stores.postgres import _SELECT
from auditmw.stores.postgres_rows import LEAF_HASHES


@pytest.fixture
async def explain(postgres_url, month):
    """The plan of a query over a trail that has been analyzed; a small one is not simply scanned."""
    db = await asyncpg.connect(postgres_url)
    await db.execute("VACUUM ANALYZE")
    await db.execute("SET enable_seqscan = off")

    async def explain(sql):
        return "\n".join(row[0] for row in await db.fetch(f"EXPLAIN {sql}"))

    yield explain
    await db.close()


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT * FROM audit_entries WHERE request_id = 'r5'", "request_id_idx"),
        ("SELECT * FROM audit_entries WHERE timestamp >= now() - interval '1 day'", "timestamp_idx"),
        ("SELECT * FROM llm_audit_log WHERE request_id = 'r5'", "call_id_attempt_idx"),
        ("SELECT count(*) FROM llm_audit_log WHERE timestamp >= now() - interval '30 days'", "call_id_attempt_idx"),
        (f"{_SELECT} WHERE e.request_id = 'r5'", "audit_batches_stored_at"),
        (f"{_SELECT} WHERE " + BY_CALL.format("'r5'"), "call_id_attempt_idx"),
        (LEAF_HASHES.replace("$1", "5").replace("$2", "9"), "audit_batches_pkey"),
    ],
)
async def test_each_index_serves_a_question(explain, sql, index):
    assert index in await explain(sql)


async def test_the_trail_is_read_in_leaf_order_without_sorting_it_whole(explain):
    plan = await explain(f"{_SELECT} ORDER BY b.first_leaf, e.seq LIMIT 500")
    assert "Presorted Key: b.first_leaf" in plan
    assert "_pkey on audit_entries_" in plan
