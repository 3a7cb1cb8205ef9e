"""OpenAI Responses: JSON answers and server-sent events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from auditmw.call import Call
from auditmw.providers import openai_usage
from auditmw.providers.openai_usage import PERSONAL, Names, read_usage
from auditmw.providers.plain import member, record, records, section, text, unique, without
from auditmw.providers.sse import EventReader

_USAGE: Final = Names("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")
_FINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_NOT_PARAMS: Final = frozenset({"instructions", "input", *PERSONAL})
_CREDENTIALS: Final = frozenset({"authorization", "headers"})
_CALL: Final = "_call"


class Event(msgspec.Struct, gc=False):
    """What the events of a stream hold, one struct for all types."""

    type: str = ""
    response: dict[str, Any] | None = None
    output_index: int = 0
    item: dict[str, Any] | None = None
    delta: Any = None
    error: Any = None
    code: Any = None
    message: Any = None


_events: Final = EventReader(Event)


class OpenAIResponses:
    """Reads `/responses` (see `auditmw.providers.protocol.Provider`)."""

    name = "openai"
    paths: tuple[str, ...] = ("/responses",)

    def read_request(self, call: Call) -> None:
        """Provider, model, stream and the user's identifier."""
        openai_usage.read_request(call, self.name)

    def read_response(self, call: Call, body: Any) -> None:
        """A whole response, as JSON data, bytes or an SDK's model; one that failed is an error."""
        _read_response(call, record(body))

    def read_stream(self, call: Call, raw: bytes) -> None:
        """The events of a stream, whose last holds the whole response; of a cut one, what had come."""
        assembly = _Assembly()
        for event in _events.read(raw):
            assembly.add(event)
        _read_response(call, assembly.response())
        if assembly.error is not None:
            self.read_error(call, {"error": assembly.error})
            call.status = "error"
        elif assembly.final is not None:
            call.status = call.status or "success"

    def read_error(self, call: Call, body: Any) -> None:
        """The type (or code) and message of an error."""
        openai_usage.read_error(call, body)

    def vendor(self, model: str | None) -> str | None:
        """OpenAI, if the model is one of theirs: many others speak this format too."""
        return self.name if openai_usage.is_own_model(model) else None

    def matches(self, answer: Any) -> bool:
        """Whether this is a response: an SDK's or a dict of that shape."""
        return member(answer, "object") == "response" and isinstance(member(answer, "output"), list)

    def system_prompt(self, request: Any) -> Any:
        """`instructions`."""
        return member(request, "instructions")

    def input(self, request: Any) -> Any:
        """`input`."""
        return member(request, "input")

    def params(self, request: Any) -> Any:
        """The rest: model, limits, tools (without credentials for MCP servers) and the like."""
        if not isinstance(request, Mapping):
            return None
        params = without(request, _NOT_PARAMS)
        if tools := records(params, "tools"):
            params["tools"] = [without(tool, _CREDENTIALS) for tool in tools]
        return params

    def output(self, response: Any) -> Any:
        """The items of the output without their empty fields."""
        if not (body := record(response)):
            return None
        return [{k: v for k, v in item.items() if v is not None} for item in records(body, "output")]


class _Assembly:
    """The response that the events of a stream end with or, if it was cut, had come to."""

    def __init__(self) -> None:
        self.final: dict[str, Any] | None = None
        self.error: Any = None
        self._begun: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, list[str]] = {}

    def add(self, event: Event) -> None:
        kind = event.type
        if kind.endswith(".delta"):
            if type(event.delta) is str:
                self._pieces.setdefault(event.output_index, []).append(event.delta)
        elif kind in _FINAL:
            self.final = event.response
        elif kind == "error" or event.error is not None:
            self.error = event.error or {"code": event.code, "message": event.message}
        elif event.response is not None:
            self._begun = event.response
        elif event.item is not None:
            self._items[event.output_index] = event.item
            if kind.endswith(".done"):
                self._pieces.pop(event.output_index, None)

    def response(self) -> dict[str, Any]:
        if self.final is not None:
            return self.final
        for index, pieces in self._pieces.items():
            item = self._items.setdefault(index, {})
            joined = "".join(pieces)
            if item.get("type") == "message":
                item["content"] = [{"type": "output_text", "text": joined}]
            elif "arguments" in item:
                item["arguments"] = joined
        begun = without(self._begun, {"status", "usage"})
        return begun | {"output": [item for _, item in sorted(self._items.items())]}


def _read_response(call: Call, response: dict[str, Any]) -> None:
    call.response = response
    call.response_id = text(response, "id") or call.response_id
    call.response_model = text(response, "model") or call.response_model
    call.service_tier = text(response, "service_tier") or call.service_tier
    status = text(response, "status")
    call.stop_reason = text(section(response, "incomplete_details"), "reason") or status or call.stop_reason
    call.tool_names = unique(_tool_name(item) for item in records(response, "output"))
    if usage := section(response, "usage"):
        if hosted := section(response, "tool_usage"):
            usage = usage | {"tool_usage": hosted}
        call.usage = read_usage(usage, _USAGE, complete=True)
    if status == "failed":
        openai_usage.read_error(call, {"error": response.get("error")})
        call.status = "error"


def _tool_name(item: dict[str, Any]) -> str | None:
    """The name of the function that was called, or the kind of the hosted tool that was used."""
    kind = text(item, "type") or ""
    return (text(item, "name") or kind.removesuffix(_CALL)) if kind.endswith(_CALL) else None
