"""Which texts stand next to each other: a provider joins them, and a value may begin in one and end in the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Leaf = tuple[int, str]
"""The identity of the object that holds a text, and the field that it is in."""
REACH: Final = 2048
"""How far from a border a value that crosses it may begin or end."""


def neighbours(items: list[Any], handled: set[int]) -> Iterator[list[Leaf]]:
    """The runs of texts that stand next to each other in a list of blocks, or of messages with the same role.

    The lists of blocks inside such messages are noted in `handled`: they need not be looked at again.
    """
    run: list[Leaf] = []
    role = None
    for item in items:
        if type(item) is not dict:
            ends, leaves = True, []
        elif "role" in item and "content" in item:
            ends, role = item["role"] != role, item["role"]
            content = item["content"]
            if type(content) is list:
                handled.add(id(content))
                yield from _joined(run, ends, content)
                continue
            leaves = [(id(item), "content")] if type(content) is str else []
        else:
            leaves = [(id(item), "text")] if type(item.get("text")) is str else []
            ends = not leaves
        if ends and len(run) > 1:
            yield run[:]
        if ends:
            run.clear()
        run += leaves
    if len(run) > 1:
        yield run


def _joined(run: list[Leaf], ends: bool, blocks: list[Any]) -> Iterator[list[Leaf]]:
    """Go on with `run` through the blocks of a message."""
    for block in blocks:
        leaf = (id(block), "text") if type(block) is dict and type(block.get("text")) is str else None
        if (ends or leaf is None) and len(run) > 1:
            yield run[:]
        if ends or leaf is None:
            run.clear()
        ends = False
        if leaf is not None:
            run.append(leaf)


def tail(text: str) -> int:
    """Where the last part of a text begins that a value crossing its end may lie in: at a space, if there is one."""
    start = len(text) - REACH
    if start <= 0:
        return 0
    space = text.find(" ", start, start + REACH // 2)
    return start if space < 0 else space


def head(text: str) -> int:
    """Where the first such part of a text ends."""
    if len(text) <= REACH:
        return len(text)
    space = text.rfind(" ", REACH // 2, REACH)
    return REACH if space < 0 else space
