"""A trail of five weeks at a small company, signed, with an entry that attacks whoever looks at it."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from auditmw import AuditTrail, dashboard
from auditmw.entry import AuditEntry, to_us
from auditmw.log.keys import Ed25519Signer
from auditmw.stores import store_for
from auditmw.stores.evidence import open_evidence
from auditmw.stores.protocol import Batch
from auditmw.testing import FakeClock

NOW = datetime(2026, 11, 24, 15, 20, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"
HAIKU, SONNET, OPUS, GPT = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-7", "gpt-5-mini"
NANO = {HAIKU: 1_000, SONNET: 3_000, OPUS: 5_000, GPT: 250}
"""Nanodollars a token of the prompt; an answer's cost five times that."""
USERS = {
    "alice": (HAIKU, "support.answer"),
    "bob": (SONNET, "research.summarize"),
    "carol": (OPUS, "finance.check"),
    "dave": (HAIKU, "support.answer"),
    "erin": (SONNET, "docs.review"),
    "frank": (GPT, "translate"),
    "grace": (GPT, "search.rank"),
}


def make_entries():
    """Some thousand calls, more on weekdays, with an outage, retries, and one call that is far too long."""
    chance = random.Random(8)
    entries = []
    for ago in range(35, -1, -1):
        day = NOW.replace(hour=0, minute=0) - timedelta(days=ago)
        for user, (model, action) in USERS.items():
            calls = chance.randint(8, 16) if day.weekday() < 5 else chance.randint(1, 4)
            for _ in range(calls):
                at = day + timedelta(minutes=chance.randint(7 * 60, 15 * 60), seconds=chance.randint(0, 59))
                sent, got = int(chance.lognormvariate(7, 0.5)), int(chance.lognormvariate(5.6, 0.5))
                outage = ago == 9 and model == SONNET
                failed = chance.random() < (0.6 if outage else 0.015)
                cost = NANO[model] * (sent + 5 * got)
                latency = int(chance.lognormvariate(13.6, 0.5)) * (3 if outage else 1)
                entries.append(
                    {
                        "timestamp_us": to_us(at),
                        "user_id": user,
                        "tenant": "acme",
                        "action": action,
                        "model": model,
                        "provider": "openai" if model == GPT else "anthropic",
                        "latency_us": latency,
                        "logged_at_us": to_us(at) + latency,
                        "ttft_us": latency // 4,
                        "input_tokens": sent,
                        "output_tokens": None if failed else got,
                        "cost_nano": None if failed else cost,
                        "cost_status": "not_billed" if failed else "priced",
                        "status": "error" if failed else "success",
                        "error_type": "overloaded_error" if failed else None,
                        "http_status": 529 if failed else 200,
                        "sanitization_count": chance.choice((0, 0, 0, 1, 2)),
                        "session_id": f"s-{user}-{ago}",
                        "system_prompt_hash": "5e" * 32,
                        "input_hash": f"{chance.getrandbits(256):064x}",
                        "output_hash": None if failed else f"{chance.getrandbits(256):064x}",
                        "metadata": {"team": action.split(".", maxsplit=1)[0]},
                        "app": "desk",
                        "host": "web-1",
                    }
                )
    entries.sort(key=lambda fields: fields["timestamp_us"])
    noon = to_us(NOW - timedelta(hours=2))
    made = [AuditEntry(f"0198{n:08x}-0000-7000-8000-{n:012x}", call_id=f"call-{n}", **f) for n, f in enumerate(entries)]
    common = {"timestamp_us": noon, "tenant": "acme", "model": OPUS, "provider": "anthropic", "action": "finance.check"}
    return [
        *made,
        AuditEntry(
            "long",
            **common,
            user_id="carol",
            input_tokens=180_000,
            output_tokens=9_000,
            latency_us=88_000_000,
            cost_nano=1_125_000_000,
            cost_status="priced",
            call_id="call-long",
        ),
        AuditEntry(
            "first",
            **common,
            user_id="bob",
            status="error",
            error_type="overloaded_error",
            cost_status="not_billed",
            call_id="tried",
            latency_us=400_000,
        ),
        AuditEntry(
            "second",
            **common,
            user_id="bob",
            attempt=1,
            call_id="tried",
            input_tokens=900,
            output_tokens=80,
            cost_nano=6_500_000,
            cost_status="priced",
            latency_us=1_400_000,
        ),
        AuditEntry(
            "outer",
            **{**common, "model": None},
            user_id="erin",
            kind="function",
            call_id="outer",
            latency_us=4_000_000,
            logged_at_us=noon + 4_000_000,
        ),
        AuditEntry(
            "inner",
            **{**common, "timestamp_us": noon + 1_000_000},
            user_id="erin",
            parent_id="outer",
            call_id="inner",
            latency_us=2_000_000,
        ),
        AuditEntry(
            "evil",
            timestamp_us=noon,
            user_id=EVIL,
            subject="\u202egnp.exe",
            session_id='"><img src=x onerror=alert(1)>',
            model=f"{EVIL}{{{{7*7}}}}",
            action="javascript:alert(1)",
            tenant=EVIL,
            status="error",
            error_type=EVIL,
            error_message=f"\x1b[31m{EVIL}",
            metadata={EVIL: EVIL},
            call_id="'--",
            provider=EVIL,
        ),
    ]


@pytest.fixture(scope="session")
def signed(tmp_path_factory):
    """The trail's URL and its verification key. Its last entries are after the checkpoint."""
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard')}/trail.db"
    entries = make_entries()

    async def append(first_seq, batch):
        store = store_for(url)
        await store.open()
        try:
            for start in range(0, len(batch), 200):
                await store.append(Batch("w" * 32, first_seq + start, batch[start : start + 200]))
        finally:
            await store.close()

    asyncio.run(append(1, entries))
    reader = open_evidence(url)
    signer = Ed25519Signer.generate(reader.head().origin)
    reader.close()
    with AuditTrail(url, signing_key=signer, clock=FakeClock(NOW)):
        pass
    late = AuditEntry("late", timestamp_us=to_us(NOW) - 1, user_id="alice", model=HAIKU, call_id="late")
    asyncio.run(append(len(entries) + 1, [late]))
    return url, signer.verifier.to_text()


@pytest.fixture
def trail(signed):
    """The trail, opened for reading at the time at which it ends."""
    trail = AuditTrail(signed[0], clock=FakeClock(NOW))
    yield trail
    trail.close()


@pytest.fixture
def browse(trail, signed):
    """Gets a page as a browser on this machine would, without drawing it."""

    async def get(path, app=None, *, client="127.0.0.1", method="GET", **headers):
        shown = app or dashboard.app(trail, keys=[signed[1]])
        transport = httpx2.ASGITransport(shown, client=(client, 50_000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8600") as http:
            return await http.request(method, path, headers=headers)

    return get
