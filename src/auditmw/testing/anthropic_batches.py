"""Anthropic message batches. A batch is in progress when it is created and has ended when it is next looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from auditmw.testing.answer import Answer
from auditmw.testing.anthropic_wire import error_object, message
from auditmw.testing.reply import WireError, encode
from auditmw.testing.state import ProviderState

_OUTCOMES = ("succeeded", "errored", "canceled", "expired")


def create_batch(
    body: Mapping[str, Any], answer: Answer, state: ProviderState, outcomes: Mapping[str, str]
) -> dict[str, Any]:
    """Make a batch and work it off at once. `outcomes` says by custom_id what did not succeed."""
    if not body.get("requests"):
        raise WireError(400, "invalid_request_error", "requests: Field required")
    batch_id = state.next_id("msgbatch_")
    state.batches[batch_id] = [
        {
            "custom_id": request["custom_id"],
            "result": _result(request["params"], outcomes.get(request["custom_id"], "succeeded"), answer, state),
        }
        for request in body["requests"]
    ]
    return _batch(batch_id, state, ended=False)


def retrieve_batch(batch_id: str, state: ProviderState) -> dict[str, Any]:
    """The batch, ended."""
    return _batch(batch_id, state, ended=True)


def batch_results(batch_id: str, state: ProviderState) -> Iterator[bytes]:
    """The results, one JSON line each."""
    return (encode(line) + b"\n" for line in _lines(batch_id, state))


def _result(params: Mapping[str, Any], outcome: str, answer: Answer, state: ProviderState) -> dict[str, Any]:
    if outcome in {"canceled", "expired"}:
        return {"type": outcome}
    try:
        if outcome == "errored":
            raise WireError(500, "api_error", "The stand-in was told to fail this request.")
        whole, _ = message(params, answer, state, tier="batch")
    except WireError as error:
        details = error_object(error.error_type, str(error), state.next_id("req_"))
        return {"type": "errored", "error": details}
    return {"type": "succeeded", "message": whole}


def _lines(batch_id: str, state: ProviderState) -> list[dict[str, Any]]:
    if batch_id not in state.batches:
        raise WireError(404, "not_found_error", f"There is no batch {batch_id}.")
    return state.batches[batch_id]


def _batch(batch_id: str, state: ProviderState, *, ended: bool) -> dict[str, Any]:
    lines = _lines(batch_id, state)
    done = Counter(line["result"]["type"] for line in lines if ended)
    return {
        "id": batch_id,
        "type": "message_batch",
        "processing_status": "ended" if ended else "in_progress",
        "request_counts": {"processing": 0 if ended else len(lines), **{name: done[name] for name in _OUTCOMES}},
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-01-02T00:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z" if ended else None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"{state.url}/v1/messages/batches/{batch_id}/results" if ended else None,
    }
