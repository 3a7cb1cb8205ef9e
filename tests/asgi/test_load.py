"""500 requests of 100 users at once, twice, against a real server in a process of its own."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from auditmw import AuditTrail
from auditmw.testing import Hang, StandInProvider

REQUESTS, USERS = 500, 100
SERVER = Path(__file__).parent / "load" / "server.py"
LARGE = "x" * 300_000


class Planned:
    """One request: every second is streamed, a fifth leaves in mid-stream, every third has a large body."""

    def __init__(self, number: int) -> None:
        self.id = f"r-{number}"
        self.leaves = number % 5 == 0
        self.streamed = self.leaves or number % 2 == 0
        self.path = "/v1/messages" if number // 5 % 2 else "/ask"
        self.headers = {
            "X-Request-ID": self.id,
            "X-User": f"user-{number % USERS}",
            "X-Session": f"session-{number % (3 * USERS)}",
        }
        text = f"{'hang' if self.leaves else 'say'}-{number}"
        self.body = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": text}], "max_tokens": 50}
        self.body |= {"stream": self.streamed, "system": LARGE if number % 3 == 0 else "short"}

    @property
    def expected(self):
        """What the trail must hold of it."""
        left = "cancelled" if self.path == "/ask" else "abandoned"  # the server cancels what asks the provider
        return self.id, self.headers["X-User"], self.headers["X-Session"], left if self.leaves else "success"

    async def send(self, client: httpx2.AsyncClient) -> None:
        async with client.stream("POST", self.path, json=self.body, headers=self.headers) as response:
            assert response.status_code == 200
            assert response.headers["x-request-id"] == self.id
            async for _ in response.aiter_raw():
                if self.leaves:
                    return


async def send_all(url: str, planned: list[Planned]) -> None:
    """Send all at once, as many again on the connections that were kept."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=REQUESTS)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        for first in range(0, len(planned), REQUESTS):
            await asyncio.gather(*(request.send(client) for request in planned[first : first + REQUESTS]))


@pytest.fixture
def hanging_provider():
    with StandInProvider(record=False) as provider:
        provider.rule(lambda request: b'"hang-' in request.body, Hang(after_events=5))
        yield provider


def test_25_every_entry_of_500_concurrent_requests_has_its_own_requests_user_session_and_status(
    run_in_process, tmp_path, hanging_provider
):
    database = f"sqlite:///{tmp_path}/audit.db"
    planned = [Planned(number) for number in range(2 * REQUESTS)]
    with run_in_process(str(SERVER), "{fd}", database, hanging_provider.url) as url:
        asyncio.run(send_all(url, planned))
    with AuditTrail(database) as trail:
        entries = list(trail.sync.query())
    recorded = Counter((e.metadata["http_request_id"], e.user_id, e.session_id, e.status) for e in entries)
    expected = Counter(request.expected for request in planned)
    assert recorded - expected == Counter()
    assert expected - recorded == Counter()
    finished = [entry for entry in entries if entry.status == "success"]
    assert {entry.usage_complete for entry in finished} == {True}
    assert {entry.cost_status for entry in finished} == {"priced"}
