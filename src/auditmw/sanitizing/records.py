"""Objects with fields that may stand in a function's arguments or result: SDK models, dataclasses, msgspec structs."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec


def fields_of(value: Any) -> dict[str, Any] | None:
    """The fields of such an object by name; None for every other object."""
    kind = type(value)
    if hasattr(kind, "__pydantic_fields__"):
        return {**vars(value), **(value.__pydantic_extra__ or {})}
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif issubclass(kind, msgspec.Struct):
        names = list(kind.__struct_fields__)
    else:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def set_fields(value: Any, changes: dict[str, Any]) -> None:
    """Set fields, past all validation: the values come from one of its own kind."""
    extra = getattr(value, "__pydantic_extra__", None) or {}
    for name, new in changes.items():
        if name in extra:
            extra[name] = new
        elif isinstance(value, msgspec.Struct):
            msgspec.structs.force_setattr(value, name, new)
        else:
            object.__setattr__(value, name, new)
