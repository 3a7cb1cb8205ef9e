"""Read by mypy, never run: a wrapped client keeps its type, and what a trail gives is typed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from decimal import Decimal
from typing import assert_type

import anthropic

from auditmw import AuditEntry, AuditTrail, Call

trail = AuditTrail("memory://")


async def use() -> None:
    assert_type(trail.wrap(anthropic.AsyncAnthropic()), anthropic.AsyncAnthropic)
    assert_type(trail.wrap(anthropic.AnthropicBedrock()), anthropic.AnthropicBedrock)
    assert_type(trail.query(user_id="alice"), AsyncIterator[AuditEntry])
    assert_type(trail.sync.query(user_id="alice"), Iterator[AuditEntry])
    assert_type(trail.request_id(object()), str | None)
    async with trail.call(action="x") as call:
        assert_type(call, Call)
    with trail.context(user_id="alice") as context:
        assert_type(context.request_ids, list[str])
        assert_type(context.run(len, "text"), int)
    async with trail as entered:
        assert_type(entered, AuditTrail)
    async for entry in trail.query():
        assert_type(entry.timestamp, datetime)
        assert_type(entry.cost_usd, Decimal | None)
        assert_type(entry.latency_ms, float | None)
