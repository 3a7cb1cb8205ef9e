"""Recorded provider traffic that lies beside a checkout: what each call sent, and the bytes that came back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "cassettes"
missing = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recordings are not part of the project")


class Recording(NamedTuple):
    name: str
    path: str
    request: dict[str, Any]
    raw: bytes


def recordings(provider: str) -> Iterator[Recording]:
    """Every recorded call to an endpoint that generates and succeeded."""
    import yaml

    for file in sorted((FOLDER / provider).rglob("*.yaml")):
        for number, call in enumerate(yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["interactions"]):
            path = "/v1/" + call["request"]["uri"].partition("?")[0].rpartition("/v1/")[2]
            raw = call["response"]["body"]["string"]
            raw = raw.encode() if isinstance(raw, str) else raw
            if call["response"]["status"]["code"] != 200 or not call["request"]["body"]:
                continue
            raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
            yield Recording(f"{file.name}#{number}", path, json.loads(call["request"]["body"]), raw)
