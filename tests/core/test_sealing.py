"""Entries made of calls: each field in its own place."""

import msgspec
import pytest

from auditmw import AuditEntry, AuditTrail
from auditmw.call import Call
from auditmw.middleware import Writer
from auditmw.sealing import decode, encode, entry_of, entry_of_intent

NAMES = [name for name in Call.__struct_fields__ if name in AuditEntry.__struct_fields__]
INTENT = {
    *("request_id", "timestamp_us", "call_id", "attempt", "parent_id", "kind", "action", "user_id", "subject"),
    *("session_id", "tenant", "app", "app_version", "host", "provider", "model", "stream", "trace_id", "span_id"),
}
"""Who, what and when; never metadata, digests or content."""


@pytest.fixture
def call():
    """A call in which every field that an entry has too holds its own name."""
    made = Call(request_id="request_id", timestamp_us=1)
    for name in NAMES:
        setattr(made, name, {"metadata": name} if name == "metadata" else name)
    return made


def told(entry):
    """The fields that are not as by default."""
    defaults = msgspec.structs.asdict(AuditEntry("", 0))
    return {name: value for name, value in msgspec.structs.asdict(entry).items() if value != defaults[name]}


def test_an_intent_says_who_what_and_when_and_nothing_else(call):
    assert told(entry_of_intent(call)) == {**{name: name for name in INTENT}, "status": "interrupted"}


@pytest.mark.parametrize("value", [b"{bad", b"", b'"\xff"', b"1e999", b"]"])
def test_bytes_that_cannot_be_read_leave_the_id_and_the_start_and_hold_nobody_up(value):
    entry = AuditEntry("0190-x", 1_795_000_000_000_000)
    msgspec.structs.force_setattr(entry, "stop_reason", msgspec.Raw(value))
    read = decode(encode(entry))
    assert (read.request_id, read.timestamp_us, read.audit_errors) == ("0190-x", 1_795_000_000_000_000, 1)
    assert (read.status, read.error_type) == ("error", "entry_not_readable")


@pytest.mark.parametrize("depth", [100, 400, 900, 990, 3000])
def test_what_is_nested_is_read_from_any_depth_of_the_stack(depth):
    nested = []
    for _ in range(depth):
        nested = [nested]

    def deeper(frames):
        return decode(payload) if frames == 0 else deeper(frames - 1)

    payload = encode(AuditEntry("r", 1, usage_raw={"a": nested}, model="m"))
    assert deeper(200).model == "m"


@pytest.mark.parametrize("nonsense", [7, None, "alice", b"x", ["r"]])
def test_an_entry_whose_id_a_middleware_replaced_is_kept(tmp_path, nonsense):
    def replacing(call):
        yield
        call.request_id = nonsense

    with AuditTrail(f"sqlite:///{tmp_path}/audit.db", pipeline=[Writer(), replacing]) as trail:
        for _ in range(2):
            with trail.call(model="m"):
                pass
        trail.sync.flush()
        assert [entry.model for entry in trail.sync.query()] == ["m", "m"]
        health = trail.health()
    assert (health.dropped, health.lost) == (0, 0)


def test_an_entry_says_all_that_its_call_knows(call):
    said = told(entry_of(call, 7))
    assert said.pop("metadata") == {"metadata": "metadata"}
    assert said == {**{name: name for name in NAMES if name != "metadata"}, "logged_at_us": 7}
