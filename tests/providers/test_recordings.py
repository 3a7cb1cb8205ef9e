"""Recorded traffic of the real providers, fed to the readers; what the wire said is read here once more."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from auditmw.call import Call
from auditmw.providers import for_answer, for_path

FOLDER = Path(__file__).parents[3] / "shared" / "cassettes"
RECORDED = {"anthropic": 81, "openai": 179}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recordings are not part of the project")


class Recording(NamedTuple):
    name: str
    path: str
    request: dict[str, Any]
    raw: bytes


def recordings(provider: str) -> Iterator[Recording]:
    """Every recorded call that some reader is for and that succeeded."""
    import yaml

    for file in sorted((FOLDER / provider).rglob("*.yaml")):
        for number, call in enumerate(yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["interactions"]):
            path = call["request"]["uri"].partition("?")[0]
            if call["response"]["status"]["code"] != 200 or for_path(path) is None or not call["request"]["body"]:
                continue
            raw = call["response"]["body"]["string"]
            raw = raw.encode() if isinstance(raw, str) else raw
            raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
            yield Recording(f"{file.name}#{number}", path, json.loads(call["request"]["body"]), raw)


def read(recording: Recording) -> Call:
    reader = for_path(recording.path)
    assert reader is not None
    call = Call(request_id="r", timestamp_us=0, request=recording.request)
    reader.read_request(call)
    if call.stream:
        reader.read_stream(call, recording.raw)
        assert call.status == "success"
    else:
        reader.read_response(call, json.loads(recording.raw))
    return call


def wire_events(raw: bytes) -> list[dict[str, Any]]:
    lines = (line[5:].strip() for line in raw.decode().splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line and line != "[DONE]"]


def final_parts(recording: Recording) -> list[dict[str, Any]]:
    """The JSON objects of an answer that hold its final facts, later ones winning."""
    if not recording.request.get("stream"):
        return [json.loads(recording.raw)]
    found = []
    for event in wire_events(recording.raw):
        found += [event[key] for key in ("message", "response", "delta") if isinstance(event.get(key), dict)]
        found.append(event)
    return found


def last(recording: Recording, name: str) -> Any:
    return next((part[name] for part in reversed(final_parts(recording)) if part.get(name)), None)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_every_recording_is_read_as_the_provider_reported_it(provider: str) -> None:
    count = 0
    for recording in recordings(provider):
        call = read(recording)
        assert call.response_id == last(recording, "id"), recording.name
        assert call.response_model == last(recording, "model"), recording.name
        usage = last(recording, "usage")
        if usage is None:
            assert call.usage is None, recording.name
        else:
            assert call.usage is not None
            assert call.usage.complete, recording.name
            assert call.usage.output_tokens == usage.get("output_tokens", usage.get("completion_tokens")), (
                recording.name
            )
        count += 1
    assert count == RECORDED[provider]


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_every_recorded_answer_is_recognised_by_its_shape(provider: str) -> None:
    for recording in recordings(provider):
        assert for_answer(read(recording).response) is for_path(recording.path), recording.name


def test_streamed_text_adds_up_to_the_deltas() -> None:
    for recording in recordings("anthropic"):
        if recording.request.get("stream"):
            texts = "".join(
                e["delta"].get("text", "") for e in wire_events(recording.raw) if e["type"] == "content_block_delta"
            )
            blocks = read(recording).response["content"]
            assert "".join(block.get("text", "") for block in blocks) == texts, recording.name
