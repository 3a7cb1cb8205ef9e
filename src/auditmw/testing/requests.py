from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


class _Model(msgspec.Struct):
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came over the wire: the path with its query, header names in lower case, the raw body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    def json(self) -> Any:
        """The body, decoded; raises ValueError if it is no JSON."""
        return json.loads(self.body)

    @property
    def model(self) -> str | None:
        """The model that the body asks for, if it is JSON that names one."""
        try:
            return msgspec.json.decode(self.body, type=_Model).model
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
