"""Answers as plain JSON data, whatever an SDK or a function made of them, and careful access to such data."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from auditmw.call import Call


def plain(answer: Any) -> Any:
    """The JSON data behind an answer: a dict as it is, an SDK's model as it came over the wire, bytes decoded.

    Fields that a model only has by default are left out, so that an object and the JSON it was made from are equal.
    What cannot be read is None.
    """
    if isinstance(answer, dict):
        return answer
    try:
        if isinstance(answer, bytes | str):
            return msgspec.json.decode(answer)
        if callable(dump := getattr(answer, "model_dump", None)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a block of a kind that the SDK does not know yet is no fault
                return dump(mode="json", by_alias=True, exclude_unset=True)
        return dict(answer) if isinstance(answer, Mapping) else msgspec.to_builtins(answer)
    except Exception:  # a foreign object may raise anything while it is read
        return None


def record(answer: Any) -> dict[str, Any]:
    """`plain(answer)` where that is a dict, else an empty one."""
    data = plain(answer)
    return data if isinstance(data, dict) else {}


def member(owner: Any, name: str) -> Any:
    """A field of a dict or an object, or None."""
    return owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)


def text(fields: Mapping[str, Any], name: str) -> str | None:
    """A field that should be text, or None."""
    value = fields.get(name)
    return value if isinstance(value, str) else None


def section(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A field that should be an object, or an empty one."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def records(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in a field that should be a list of them."""
    value = fields.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def unique(names: Iterable[str | None]) -> list[str] | None:
    """The names in order, each once; None if there is none."""
    return list(dict.fromkeys(name for name in names if name)) or None


def without(fields: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The fields but those named."""
    dropped = frozenset(names)
    return {name: value for name, value in fields.items() if name not in dropped}


def read_request_basics(call: Call, name: str) -> dict[str, Any]:
    """Set what every format tells under the same names: provider, model, stream. Gives the request's fields."""
    request = call.request if isinstance(call.request, dict) else {}
    call.provider = call.provider or name
    call.model = text(request, "model") or call.model
    call.stream = bool(request.get("stream")) if call.stream is None else call.stream
    return request


def read_error_basics(call: Call, body: Any) -> dict[str, Any]:
    """Set error type and message from `{"error": {"type", "message"}}`, or its inner part. Gives that part."""
    fields = record(body)
    error = section(fields, "error") or fields
    call.error_type = text(error, "type") or call.error_type
    call.error_message = text(error, "message") or text(fields, "error") or call.error_message
    return error
