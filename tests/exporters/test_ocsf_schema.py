"""The OCSF export against the schema as it is published.

The newest that can be installed is 1.7.0, without profiles. What the profiles `ai_operation`, new in 1.8.0, and `trace`
add is held against the excerpt beside this file (see `test_formats.py`).
"""

from __future__ import annotations

import pytest
from ocsf.v1_7_0.events import ApiActivity
from pydantic import BaseModel

from auditmw.exporters.ocsf import event

OF_PROFILES = ("ai_model", "message_context", "trace")


def unknown(found, path=""):
    """The attributes that the schema does not know, however deep."""
    if isinstance(found, list):
        return [name for one in found for name in unknown(one, path)]
    if not isinstance(found, BaseModel):
        return []
    names = [f"{path}{name}" for name in found.model_extra or ()]
    return names + [one for name in type(found).model_fields for one in unknown(getattr(found, name), f"{path}{name}.")]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user_id": "alice", "session_id": "s1", "tenant": "acme", "app": "desk", "host": "api.anthropic.com"},
        {"status": "error", "error_type": "overloaded_error", "error_message": "busy", "http_status": 529},
        {"status": "blocked", "error_type": "blocked"},
        {"status": "cancelled", "kind": "function"},
        {"latency_us": 1_234_567, "logged_at_us": 1_795_000_002_000_000, "leaf_index": 7, "action": "support.answer"},
    ],
    ids=["bare", "with its actor", "failed", "blocked", "cancelled", "timed"],
)
def test_an_event_is_one_of_the_published_class(make_entry, fields):
    made = event(make_entry(**fields))
    for name in OF_PROFILES:
        made.pop(name, None)
    made["unmapped"] = {}  # where anything may stand
    made["metadata"] |= {"version": "1.7.0", "profiles": []}
    read = ApiActivity.model_validate(made)
    assert unknown(read) == []
    assert (read.class_uid, read.activity_id, read.type_uid) == (6003, 99, 600399)


def test_what_the_published_class_does_not_allow_is_noticed(make_entry):
    made = event(make_entry(trace_id="ab" * 16))
    assert "trace" in unknown(ApiActivity.model_validate(made))
    with pytest.raises(ValueError, match="severity"):
        ApiActivity.model_validate(made | {"severity_id": "loud"})
