"""Entries as events in the application's log, and the ids of its calls on its own log lines."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
import structlog
from structlog.testing import LogCapture

from auditmw import AuditTrail
from auditmw.events import MOST_IDS, add_request_ids

from .conftest import entries_of

SECRETS = ("a private prompt", "a private answer", "a private error", "alice", "bob", "s1", "team")


@pytest.fixture
def log():
    """What the application logs, with the processor in its chain."""
    capture = LogCapture()
    structlog.configure(processors=[add_request_ids, capture])
    yield capture.entries
    structlog.reset_defaults()


def test_every_entry_is_an_event_with_ids_counts_and_outcome(log):
    with AuditTrail("memory://", events=True) as trail:
        with trail.context(user_id="alice"), trail.call(action="x", model="claude-sonnet-5-5") as call:
            call.response = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-5-5",
                "content": [],
                "usage": {"input_tokens": 12, "output_tokens": 9},
            }
        [entry] = entries_of(trail)
    [event] = [e for e in log if e["event"] == "auditmw.entry" and e["kind"] == "llm"]
    assert event["log_level"] == "info"
    assert event["request_id"] == entry.request_id
    assert (event["status"], event["input_tokens"], event["output_tokens"]) == ("success", 12, 9)
    assert event.get("cost_usd") in {None, entry.cost_text}  # prices not looked up before are the writer's
    assert None not in event.values()


def test_control_entries_are_events_too(log):
    with AuditTrail("memory://", events=True):
        pass
    assert [e["action"] for e in log if e["event"] == "auditmw.entry"] == ["open", "close"]


def test_no_event_holds_content_a_message_or_a_person(log):
    bound = {"user_id": "alice", "subject": "bob", "session_id": "s1", "metadata": {"team": "x"}}

    def fail(trail):
        with trail.context(**bound), trail.call(request="a private prompt") as call:
            call.response = "a private answer"
            raise ValueError("a private error")

    with AuditTrail("memory://", events=True) as trail, pytest.raises(ValueError, match="private"):
        fail(trail)
    event = next(e for e in log if e["event"] == "auditmw.entry" and e["kind"] == "llm")
    assert (event["log_level"], event["error_type"]) == ("warning", "ValueError")
    assert not [secret for secret in SECRETS if secret in str(log)]


def test_no_event_is_logged_unless_asked_for(log):
    with AuditTrail("memory://") as trail, trail.call():
        pass
    assert not [e for e in log if e["event"] == "auditmw.entry"]


def test_a_log_that_fails_costs_no_entry(capsys):
    def broken(*_):
        raise RuntimeError("no disk")

    structlog.configure(processors=[broken])
    try:
        with AuditTrail("memory://", events=True) as trail:
            with trail.call():
                pass
            assert len(entries_of(trail)) == 1
            assert trail.health().dropped == 0
    finally:
        structlog.reset_defaults()
    assert "no disk" in capsys.readouterr().err


async def test_log_lines_inside_a_call_or_scope_name_its_entries(log, trail):
    logger = structlog.get_logger()
    logger.info("outside")
    with trail.context(user_id="alice"):
        logger.info("before")
        async with trail.call() as first:
            logger.info("inside")
            async with trail.call() as inner:
                await anyio.lowlevel.checkpoint()
            logger.info("after inner")
        logger.info("after")
    logger.info("outside again")
    ids = {e["event"]: e.get("audit_request_ids") for e in log}
    assert ids["outside"] is ids["before"] is ids["outside again"] is None
    assert ids["inside"] == [first.request_id]
    assert ids["after inner"] == ids["after"] == [first.request_id, inner.request_id]


def test_of_many_entries_the_newest_are_named(log, trail):
    with trail.context(user_id="alice") as context:
        for _ in range(MOST_IDS + 5):
            with trail.call():
                pass
        structlog.get_logger().info("line")
    assert log[-1]["audit_request_ids"] == context.request_ids[-MOST_IDS:]


def test_what_the_application_has_set_itself_stays(log, trail):
    with trail.call():
        structlog.get_logger().info("line", audit_request_ids="mine")
    assert log[-1]["audit_request_ids"] == "mine"
