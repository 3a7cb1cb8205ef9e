"""OpenAI Chat Completions, which many other servers speak too: JSON answers and server-sent chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from auditmw.call import Call
from auditmw.providers import openai_usage
from auditmw.providers.openai_usage import PERSONAL, Names, read_usage
from auditmw.providers.plain import member, record, records, section, text, unique, without
from auditmw.providers.sse import EventReader

_USAGE: Final = Names("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details")
_WHOLE: Final = frozenset({"role", "id", "type", "name"})
"""Texts that come whole; all others come in pieces."""
_END: Final = b"[DONE]"


class ChunkChoice(msgspec.Struct, gc=False):
    """One choice's part of a chunk."""

    index: int = 0
    delta: dict[str, Any] | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """One chunk of a stream."""

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[ChunkChoice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_chunks: Final = EventReader(Chunk)


class OpenAIChat:
    """Reads `/chat/completions` (see `auditmw.providers.protocol.Provider`)."""

    name = "openai"
    paths: tuple[str, ...] = ("/chat/completions",)

    def read_request(self, call: Call) -> None:
        """Provider, model, stream and the user's identifier."""
        openai_usage.read_request(call, self.name)

    def read_response(self, call: Call, body: Any) -> None:
        """A whole completion, as JSON data, bytes or an SDK's model."""
        _read_completion(call, record(body), complete=True)

    def read_stream(self, call: Call, raw: bytes) -> None:
        """The chunks of a stream; without `include_usage` in the request they hold no usage, and none is recorded."""
        assembly = _Assembly(_chunks.read(raw))
        ended = raw.rstrip().endswith(_END) or assembly.finished
        _read_completion(call, assembly.completion(), complete=ended)
        if assembly.error is not None:
            self.read_error(call, {"error": assembly.error})
            call.status = "error"
        elif ended:
            call.status = "success"

    def read_error(self, call: Call, body: Any) -> None:
        """The type (or code) and message of an error."""
        openai_usage.read_error(call, body)

    def vendor(self, model: str | None) -> str | None:
        """OpenAI, if the model is one of theirs: many others speak this format too."""
        return self.name if openai_usage.is_own_model(model) else None

    def matches(self, answer: Any) -> bool:
        """Whether this is a completion: an SDK's or a dict of that shape."""
        return member(answer, "object") == "chat.completion" and isinstance(member(answer, "choices"), list)

    def system_prompt(self, request: Any) -> Any:
        """The content of the system message, or those of several."""
        if not isinstance(request, Mapping):
            return None
        contents = [m.get("content") for m in records(request, "messages") if m.get("role") in {"system", "developer"}]
        return contents[0] if len(contents) == 1 else contents or None

    def input(self, request: Any) -> Any:
        """`messages`, the system's among them."""
        return member(request, "messages")

    def params(self, request: Any) -> Any:
        """The rest: model, limits, tools and the like."""
        return without(request, {"messages", *PERSONAL}) if isinstance(request, Mapping) else None

    def output(self, response: Any) -> Any:
        """The choices' messages without their empty fields, which some forms of the same answer give, others omit."""
        if not (completion := record(response)):
            return None
        return [_without_empty(section(choice, "message")) for choice in records(completion, "choices")]


class _Assembly:
    """The completion that the chunks of a stream add up to."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.error: Any = None
        self._messages: dict[int, dict[str, Any]] = {}
        self._reasons: dict[int, str] = {}
        identity = model = tier = usage = None
        for chunk in chunks:
            for choice in chunk.choices or ():
                self._add(choice)
            identity, model = chunk.id or identity, chunk.model or model
            tier, usage = chunk.service_tier or tier, chunk.usage or usage
            if chunk.error is not None:
                self.error = chunk.error
        told = {"object": "chat.completion", "id": identity, "model": model, "service_tier": tier, "usage": usage}
        self._told = {name: value for name, value in told.items() if value is not None}

    def _add(self, choice: ChunkChoice) -> None:
        message = self._messages.get(choice.index)
        if message is None:
            message = self._messages[choice.index] = {}
        if delta := choice.delta:
            pieces, piece = message.get("content"), delta.get("content")
            if len(delta) == 1 and type(pieces) is _Pieces and type(piece) is str:
                pieces.append(piece)  # the common chunk, in a quarter of the time
            else:
                _merge(message, delta)
        if choice.finish_reason:
            self._reasons[choice.index] = choice.finish_reason

    @property
    def finished(self) -> bool:
        return bool(self._messages) and self._messages.keys() == self._reasons.keys()

    def completion(self) -> dict[str, Any]:
        choices = [
            {"index": index, "message": _joined(message), "finish_reason": self._reasons.get(index)}
            for index, message in sorted(self._messages.items())
        ]
        return self._told | {"choices": choices}


def _merge(target: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a delta: texts are collected as lists of pieces, items of lists find their own by `index`."""
    for name, value in delta.items():
        if type(value) is str and name not in _WHOLE:
            pieces = target.get(name)
            if type(pieces) is _Pieces:
                pieces.append(value)
            else:
                target[name] = _Pieces([value])
        elif isinstance(value, dict):
            _merge(_section_of(target, name), value)
        elif isinstance(value, list):
            _merge_items(target, name, value)
        elif value not in {None, ""}:
            target[name] = value


def _merge_items(target: dict[str, Any], name: str, values: list[Any]) -> None:
    items = target.get(name)
    if type(items) is not _Items:
        items = target[name] = _Items()
    for position, value in enumerate(values):
        if isinstance(value, dict):
            index = value.get("index")
            _merge(items.setdefault(index if type(index) is int else len(items) + position, {}), value)


def _section_of(target: dict[str, Any], name: str) -> dict[str, Any]:
    inner = target.get(name)
    if type(inner) is not dict:
        inner = target[name] = {}
    return inner


class _Pieces(list[str]):
    pass


class _Items(dict[int, dict[str, Any]]):
    pass


def _joined(value: Any) -> Any:
    if type(value) is _Pieces:
        return "".join(value)
    if type(value) is _Items:
        return [without(_joined(item), {"index"}) for _, item in sorted(value.items())]
    return {name: _joined(inner) for name, inner in value.items()} if type(value) is dict else value


def _read_completion(call: Call, completion: dict[str, Any], *, complete: bool) -> None:
    call.response = completion
    call.response_id = text(completion, "id") or call.response_id
    call.response_model = text(completion, "model") or call.response_model
    call.service_tier = text(completion, "service_tier") or call.service_tier
    names: list[str | None] = []
    for choice in records(completion, "choices"):
        call.stop_reason = text(choice, "finish_reason") or call.stop_reason
        message = section(choice, "message")
        names += [
            _tool_name(tool) for tool in [*records(message, "tool_calls"), {"function": message.get("function_call")}]
        ]
    call.tool_names = unique(names)
    if usage := section(completion, "usage"):
        call.usage = read_usage(usage, _USAGE, complete=complete)


def _tool_name(tool: dict[str, Any]) -> str | None:
    return text(section(tool, "function"), "name") or text(section(tool, "custom"), "name")


def _without_empty(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if value is not None and value not in ("", [], {})}
