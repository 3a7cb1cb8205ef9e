"""A changed copy of a body: the caller's objects stay as they are, shared and cyclic ones keep their shape."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from auditmw.sanitizing.document import Document
from auditmw.sanitizing.records import fields_of, set_fields


class Changes:
    """What is to be different: new values and new keys, by the identity of their holder and their slot."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, Any], Any] = {}
        self.keys: dict[tuple[int, Any], Any] = {}

    def __bool__(self) -> bool:
        return bool(self.values or self.keys)


def rebuilt(document: Document, changes: Changes) -> Any:
    """The body with the changes. What the document did not enter is taken over as it is."""
    copies: dict[int, Any] = {}
    frozen: list[Any] = []
    mutable: list[Any] = []
    for container in document.containers:
        if id(container) in document.stand_ins:
            continue
        if isinstance(container, (tuple, frozenset, set)):
            frozen.append(container)
        else:
            copies[id(container)] = _empty(container)
            mutable.append(container)

    def new(holder: Any, slot: Any, item: Any) -> Any:
        key = (id(holder), slot)
        if key in changes.values:
            return changes.values[key]
        item = document.stand_ins.get(id(item), item)
        return copies.get(id(item), item)

    _build_frozen(frozen, copies, new)
    for container in mutable:
        _fill(copies[id(container)], container, new, changes)
    return copies[id(document.root)][0]


def _empty(container: Any) -> Any:
    if type(container) is dict or type(container) is list:
        return type(container)()
    emptied = copy.copy(container)
    if isinstance(container, (dict, list)):
        emptied.clear()
    return emptied


def _fill(target: Any, container: Any, new: Callable[[Any, Any, Any], Any], changes: Changes) -> None:
    if isinstance(container, dict):
        for key, item in container.items():
            name = changes.keys.get((id(container), key), key)
            while name in target or (name is not key and name in container):
                name = f"{name}'"  # two keys that a mask has made equal
            target[name] = new(container, key, item)
    elif isinstance(container, list):
        target.extend(new(container, index, item) for index, item in enumerate(container))
    else:
        changed = {slot: new(container, slot, item) for slot, item in (fields_of(container) or {}).items()}
        set_fields(target, changed)


def _build_frozen(frozen: list[Any], copies: dict[int, Any], new: Callable[[Any, Any, Any], Any]) -> None:
    """Tuples and sets are made at once, so those inside others come first."""
    waiting = {id(container) for container in frozen}
    while frozen:
        later: list[Any] = []
        for container in reversed(frozen):
            if any(id(item) in waiting for item in container):
                later.append(container)
                continue
            if isinstance(container, tuple):
                items = [new(container, index, item) for index, item in enumerate(container)]
                make: Any = getattr(type(container), "_make", type(container))
            else:
                items = [new(container, item, item) for item in container]
                make = type(container)
            copies[id(container)] = make(items)
            waiting.discard(id(container))
        frozen = later
