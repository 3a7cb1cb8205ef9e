from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STRINGS = {"date": "2026-01-01", "date-time": "2026-01-01T00:00:00Z", "email": "someone@example.com"}


def sample(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A small value that fits a JSON schema: the input of a tool, or a structured answer."""
    root = schema if root is None else root
    if "$ref" in schema:
        return sample(_resolve(schema["$ref"], root), root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            # a reference comes last, so that a schema that contains itself ends
            return sample(min(schema[choice], key=lambda option: "$ref" in option), root)
    kind = schema.get("type", "object")
    return _of_type(kind[0] if isinstance(kind, list) else kind, schema, root)


def _of_type(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: sample(properties[name], root) for name in schema.get("required", ()) if name in properties}
    if kind == "array":
        return [sample(schema["items"], root) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return _STRINGS.get(schema.get("format", ""), "text")
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    return True if kind == "boolean" else None


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found  # type: ignore[no-any-return]  # a JSON schema is untyped JSON
