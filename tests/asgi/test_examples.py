"""The examples as a reader would run them: `uvicorn <example>:app`."""

from pathlib import Path

import httpx2
import pytest

from auditmw import AuditTrail

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run_example(run_in_process, provider, tmp_path):
    def run(name):
        return run_in_process(
            *("-m", "uvicorn", "--fd", "{fd}", "--log-level", "error", "--app-dir", str(EXAMPLES), f"{name}:app"),
            AUDITMW_DB=f"sqlite:///{tmp_path}/audit.db",
            ANTHROPIC_API_KEY="test",
            ANTHROPIC_BASE_URL=provider.url,
        )

    return run


def recorded(tmp_path):
    with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail:
        return [(entry.user_id, entry.stream, entry.status) for entry in trail.sync.query()]


def test_the_fastapi_example_records_its_calls_with_their_user(run_example, tmp_path):
    with run_example("fastapi_app") as url:
        answer = httpx2.get(f"{url}/ask", params={"question": "hello"}, auth=("alice", "secret"), timeout=30)
        refused = httpx2.get(f"{url}/ask", params={"question": "hello"}, timeout=30)
    assert (answer.json()["user"], refused.status_code) == ("alice", 401)
    assert recorded(tmp_path) == [("alice", False, "success")]


def test_the_starlette_example_records_its_streams_with_their_user(run_example, tmp_path):
    with run_example("starlette_app") as url:
        answer = httpx2.get(f"{url}/ask", params={"question": "hello"}, headers={"X-API-Key": "bob-key"}, timeout=30)
        refused = httpx2.get(f"{url}/ask", params={"question": "hello"}, timeout=30)
    assert (answer.status_code, refused.status_code) == (200, 400)
    assert answer.text
    assert recorded(tmp_path) == [("bob", True, "success")]
