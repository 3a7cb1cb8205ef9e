"""What the stand-in says, before any wire format: an Answer is what a test asks for, a Turn what comes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from auditmw.testing.sample import sample

_WORDS_PER_DELTA = 3
_JSON_PER_DELTA = 12
_TOOL_OVERHEAD_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What the stand-in says to a request.

    `text` is streamed in about three words a delta, or in exactly `deltas` deltas, for which it is repeated if it is
    too short. `thinking` is said where the request asks for thinking. Where a request offers tools and brings no
    result yet, the first tool, or the chosen one, is called with `tool_input`, by default made from its schema.
    `model` is the model said to have served, `stop_reason` the reason as the wire has it, and the fields of `usage`
    replace those that were counted.
    """

    text: str = "This is the stand-in provider speaking: no model was asked and nothing was billed."
    deltas: int | None = None
    thinking: str = "The question is plain, so a plain answer will do."
    tool_input: Mapping[str, Any] | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a request offers."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, its arguments whole and as the pieces of their JSON."""

    name: str
    arguments: Mapping[str, Any]
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer, cut into the pieces that a stream sends, and counted. `cut_short`: max_tokens was reached."""

    thinking: tuple[str, ...]
    text: tuple[str, ...]
    tool: ToolCall | None
    cut_short: bool
    thinking_tokens: int
    output_tokens: int


def count_tokens(text: str) -> int:
    """Tokens of a text: four characters each, which is near what English takes."""
    return (len(text) + 3) // 4


def compose(
    answer: Answer, *, thinks: bool, tool: Tool | None, schema: Mapping[str, Any] | None, max_tokens: int | None
) -> Turn:
    """The turn that an answer comes to: a tool's call, JSON that fits the schema asked for, or text."""
    thinking = _pieces(answer.thinking, None) if thinks else ()
    thinking_tokens = sum(map(count_tokens, thinking))
    if tool is not None:
        call = _call(tool, answer.tool_input)
        used = thinking_tokens + _TOOL_OVERHEAD_TOKENS + sum(map(count_tokens, call.pieces))
        return Turn(thinking, (), call, cut_short=False, thinking_tokens=thinking_tokens, output_tokens=used)
    wanted = _pieces(answer.text, answer.deltas) if schema is None else _chunks(json.dumps(sample(schema)))
    text, used = [], thinking_tokens
    for piece in wanted:
        used_then = used + count_tokens(piece)
        if max_tokens is not None and used_then > max_tokens:
            break
        text.append(piece)
        used = used_then
    return Turn(thinking, tuple(text), None, len(text) < len(wanted), thinking_tokens, used)


def _call(tool: Tool, tool_input: Mapping[str, Any] | None) -> ToolCall:
    arguments = sample(tool.schema) if tool_input is None else tool_input
    return ToolCall(tool.name, arguments, _chunks(json.dumps(arguments, separators=(",", ":"))))


def _chunks(text: str) -> tuple[str, ...]:
    return tuple(text[start : start + _JSON_PER_DELTA] for start in range(0, len(text), _JSON_PER_DELTA))


def _pieces(text: str, count: int | None) -> tuple[str, ...]:
    if not text or count == 0:
        return ()
    words = text.split(" ")
    if count is None:
        count = math.ceil(len(words) / _WORDS_PER_DELTA)
    words = [words[number % len(words)] for number in range(max(count, len(words)))]
    cuts = [number * len(words) // count for number in range(count + 1)]
    first, *others = [" ".join(words[start:end]) for start, end in pairwise(cuts)]
    return (first, *(f" {other}" for other in others))
