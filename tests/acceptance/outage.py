"""Stops PostgreSQL under load, starts it again, and counts what was lost, doubled, or made to wait.

    python tests/acceptance/outage.py --seconds 60

Calls go on at a steady rate before, during and after the outage. Printed: calls lost and doubled (must be 0), the p99
of what auditing added to a call while the database was down against while it was up, and memory before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import psutil
from postgres import Postgres

from auditmw import AuditTrail

RATE = 200
ANSWER = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 3},
    }
).encode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with Postgres() as server, tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run(server, Path(folder), options.seconds))
    print(f"{result['calls']} calls, {result['during']} of them while PostgreSQL was down for {options.seconds:.0f} s")
    print(f"lost: {result['lost']}   doubled: {result['doubled']}")
    print(f"p99 of a call: {result['p99_up']:.2f} ms with PostgreSQL up, {result['p99_down']:.2f} ms while it was down")
    print(f"memory: {result['rss_before']:.1f} MB before, {result['rss_during']:.1f} MB at the end of the outage")
    return 1 if result["lost"] or result["doubled"] else 0


async def run(server: Postgres, folder: Path, seconds: float) -> dict[str, Any]:
    """Load, outage, recovery; gives the figures."""
    import anthropic

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=ANSWER))
    latencies: dict[str, list[float]] = {"up": [], "down": []}
    made: list[str] = []
    memory = psutil.Process()
    async with AuditTrail(server.url, journal_dir=folder) as trail:
        client = trail.wrap(
            anthropic.AsyncAnthropic(api_key="test", max_retries=0, http_client=httpx2.AsyncClient(transport=transport))
        )

        async def load(phase: str, duration: float) -> None:
            end = time.perf_counter() + duration
            while time.perf_counter() < end:
                started = time.perf_counter()
                with trail.context(user_id="alice") as context:
                    await client.messages.create(
                        model="claude-haiku-5-5", max_tokens=10, messages=[{"role": "user", "content": "hello"}]
                    )
                latencies[phase].append((time.perf_counter() - started) * 1000)
                made.extend(context.request_ids)
                await asyncio.sleep(max(0.0, 1 / RATE - (time.perf_counter() - started)))

        await load("up", min(10, seconds))
        gc.collect()
        before = memory.memory_info().rss / 1e6
        await asyncio.to_thread(server.stop)
        await load("down", seconds)
        gc.collect()
        during = memory.memory_info().rss / 1e6
        await asyncio.to_thread(server.start)
        await load("up", min(5, seconds))
        await trail.flush(60)
        stored = Counter([entry.request_id async for entry in trail.query()])
    return {
        "calls": len(made),
        "during": len(latencies["down"]),
        "lost": len(set(made) - stored.keys()),
        "doubled": sum(count - 1 for count in stored.values()),
        "p99_up": statistics.quantiles(latencies["up"], n=100)[98],
        "p99_down": statistics.quantiles(latencies["down"], n=100)[98],
        "rss_before": before,
        "rss_during": during,
    }


if __name__ == "__main__":
    sys.exit(main())
