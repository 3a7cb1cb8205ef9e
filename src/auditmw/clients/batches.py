"""Batch results: one entry for each answer in them, made hours after it was asked for, and once by one client."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import msgspec

from auditmw.call import Call
from auditmw.entry import Status
from auditmw.providers import READERS
from auditmw.reading import decoded
from auditmw.recorder import Recorder

_STATUS: dict[str, Status] = {"succeeded": "success", "canceled": "cancelled"}
RESULTS_REMEMBERED: Final = 50_000


def expand_batch_results(listing: Call, path: str, recorder: Recorder, known: OrderedDict[str, None]) -> None:
    """Make an `llm` entry of each result in a listing of batch results that was read.

    `known` has the ids of the latest results that this client has on record: who reads them again pays no second time.
    """
    batch_id = path.split("/")[-2]
    raw = decoded(b"".join(listing.chunks), listing.content_encoding)
    whole_lines = raw.split(b"\n") if listing.status == "success" else raw.split(b"\n")[:-1]
    for line in whole_lines:
        if not line.strip():
            continue
        try:
            item = msgspec.json.decode(line, type=dict[str, Any])
            call_id = f"{batch_id}/{item.get('custom_id')}"
            if call_id not in known:
                known[call_id] = None
                _record(listing, batch_id, call_id, item, recorder)
        except Exception as error:  # the other results, and the listing itself, are recorded all the same
            listing.run.count("a batch result", error)
    while len(known) > RESULTS_REMEMBERED:
        known.popitem(last=False)


def _record(listing: Call, batch_id: str, call_id: str, item: dict[str, Any], recorder: Recorder) -> None:
    reader = READERS["anthropic"]
    result = item.get("result") or {}
    outcome = result.get("type")
    call = recorder.draft(
        kind="llm",
        provider=reader.name,
        call_id=call_id,
        parent_id=listing.request_id,
        action=listing.action,
        service_tier="batch",
        user_id=listing.user_id,
        session_id=listing.session_id,
        tenant=listing.tenant,
        metadata={"batch_id": batch_id, "custom_id": item.get("custom_id")},
    )
    recorder.begin(call)
    if outcome == "succeeded":
        reader.read_response(call, result.get("message"))
        call.reader = reader
        call.model = call.response_model
    else:
        reader.read_error(call, result.get("error") or {})
        call.error_type = call.error_type or outcome
    recorder.end(call, _STATUS.get(outcome or "", "error"))
